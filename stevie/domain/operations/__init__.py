"""Operations: the evidence of what was done, and the switches of what is done."""
