"""Every message between actors, by stage, in the order in which data flows.

Commands are imperative, events past tense, questions begin with Read and answers end in State.
How a full mailbox treats a message is part of its type (`delivery`, see `runtime/message.py`).
"""
