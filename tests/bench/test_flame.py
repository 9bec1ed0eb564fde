from xml.etree import ElementTree

from bench.flame import owners, picture, tree

PYTHON = "run (bench/peers/kernel.py:44);Kernel._batches (bench/peers/kernel.py:70)"
KERNEL = (
    "0x7ffc (?);WrapperCall (clingwrapper.cxx:966);stevie::Core::apply_frames (micro.cpp:1730);"
    "operator() (micro.cpp:1731);stevie::(anonymous namespace)::Side::set (micro.cpp:182)"
)
STACKS = [
    "main (bench/flame.py:21) 70",
    f"{PYTHON} 10",
    f"{PYTHON};{KERNEL} 40",
    f"{PYTHON};{KERNEL};std::vector<long>::insert (vector.tcc:169) 50",
]


def test_what_is_outside_of_the_loop_is_left_out() -> None:
    assert tree(STACKS).samples == 100


def test_samples_belong_to_functions_of_ours_by_short_names() -> None:
    assert owners(tree(STACKS)) == {
        "Kernel._batches": 10,
        "cppyy": 0,
        "Core::apply_frames": 0,
        "Side::set": 90,
    }


def test_what_takes_next_to_nothing_is_its_callers_own() -> None:
    seldom = f"{PYTHON};stevie::Core::view (micro.cpp:9) 1"

    assert owners(tree([f"{PYTHON} 999", seldom])) == {"Kernel._batches": 1000}


def test_the_picture_is_an_svg_that_names_each_function_with_its_share() -> None:
    root = ElementTree.fromstring(picture(tree(STACKS)))

    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == [
        "Kernel._batches 100.0%",
        "cppyy 90.0%",
        "Core::apply_frames 90.0%",
        "Side::set 90.0%",
    ]
