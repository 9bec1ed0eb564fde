"""Messages are frozen values, and a class that declares a delivery brings what it takes."""

from typing import ClassVar

import msgspec
import pytest

from stevie.runtime.message import Delivery, Message
from tests.runtime.cast import Frame, Note, OtherFrame


def test_a_message_cannot_be_changed():
    with pytest.raises(AttributeError):
        Note(number=1).number = 2


def test_messages_of_two_types_with_the_same_fields_differ():
    assert Frame(numbers=(1,)) != OtherFrame(numbers=(1,))


def test_a_message_travels_as_json_under_its_name():
    encoded = msgspec.json.encode(Note(number=1))

    assert encoded == b'{"type":"Note","number":1}'
    assert msgspec.json.decode(encoded, type=Note) == Note(number=1)


def test_a_class_that_lacks_what_its_delivery_takes_is_refused():
    with pytest.raises(TypeError, match=r"Keyless is LATEST but has no conflation_key\(\)"):

        class Keyless(Message, frozen=True, kw_only=True, gc=False):
            delivery: ClassVar[Delivery] = Delivery.LATEST

    with pytest.raises(TypeError, match=r"Unfolded is BATCH but has no fold\(\)"):

        class Unfolded(Message, frozen=True, kw_only=True, gc=False):
            delivery: ClassVar[Delivery] = Delivery.BATCH

            def size_bytes(self) -> int:
                return 1
