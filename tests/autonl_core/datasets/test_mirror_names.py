"""Class names that mean each other's mirror image, in many languages and spellings, and names that only look so."""

from __future__ import annotations

import time
from string import ascii_lowercase, ascii_uppercase

import pytest

from autonl_core.datasets.mirror_names import read_mirror_names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("left", "right"),
        ("Turn left ahead", "Turn right ahead"),
        ("turn-left", "turn_right"),
        ("leftturn", "rightturn"),
        ("rightLung", "leftLung"),
        ("hand_L", "hand_R"),
        ("handL", "handR"),
        ("L", "R"),
        ("knee_01_L", "knee_01_R"),
        ("OS", "OD"),
        ("cw", "ccw"),
        ("clockwise", "counter-clockwise"),
        ("Clockwise", "anti_clockwise"),
        ("port", "starboard"),
        ("facing_east", "facing_west"),
        ("arrow NE", "arrow NW"),
        ("links", "rechts"),
        ("Linke Hand", "Rechte Hand"),
        ("gauche", "droite"),
        ("virage à droite", "virage à gauche"),
        ("pied droit", "pied gauche"),
        ("main_g", "main_d"),
        ("izquierda", "derecha"),
        ("ojo izquierdo", "ojo derecho"),
        ("esquerda", "direita"),
        ("sinistra", "destra"),
        ("Höger", "Vänster"),
        ("hoger", "vanster"),
        ("højre", "venstre"),
        ("lewy", "prawy"),
        ("levá", "pravá"),
        ("sağ", "sol"),
        ("stânga", "dreapta"),
        ("налево", "направо"),
        ("левая рука", "правая рука"),
        ("ліворуч", "праворуч"),
        ("αριστερά", "δεξιά"),
        ("يسار", "يمين"),
        ("שמאל", "ימין"),
        ("बायाँ", "दायाँ"),
        ("ซ้าย", "ขวา"),
        ("左转", "右转"),
        ("왼쪽", "오른쪽"),
        ("hidari", "migi"),
        ("trái", "phải"),
        ("←", "→"),
        ("⬅️", "➡️"),
        ("👈🏽", "👉🏽"),
        ("<", ">"),
        ("b", "d"),
        ("p", "q"),
    ],
)
def test_mirror_words_are_found_in_either_order_and_among_others(one: str, other: str) -> None:
    assert read_mirror_names([one, other]).pairs == ((0, 1),)
    assert read_mirror_names(["stop", other, "~", one]).pairs == ((1, 3),)
    assert read_mirror_names([one, other]).forbid_mirroring


@pytest.mark.parametrize(
    "classes",
    [
        ("cat", "dog"),
        ("left", "up", "down"),  # no class to be mistaken for
        ("bright", "dark"),
        ("port", "airport"),
        ("sol", "luna"),
        ("S", "M", "L", "XL"),
        ("a", "b", "c", "d"),  # these just count
        ("grade_b", "grade_d"),
        ("main_a", "main_d", "main_g"),
        ("<5mm", ">5mm"),
        ("vitamin_d", "vitamin_e"),
        ("copper", "liver", "link", "recto"),
        ("up", "down"),
        ("horizontal", "vertical"),
    ],
)
def test_other_names_are_left_alone(classes: tuple[str, ...]) -> None:
    names = read_mirror_names(classes)
    assert (names.pairs, names.glyphs, names.forbid_mirroring) == ((), None, False)


def test_every_pair_is_named_once_and_never_crosswise() -> None:
    classes = ("hand_left_open", "hand_left_shut", "hand_right_open", "hand_right_shut")
    assert read_mirror_names(classes).pairs == ((0, 2), (1, 3))


def test_letters_and_digits_are_recognised_as_glyphs_but_only_letters_by_name_alone() -> None:
    for classes in (ascii_lowercase, ascii_uppercase, [f"letter_{letter}" for letter in ascii_uppercase]):
        names = read_mirror_names(list(classes))
        assert names.glyphs == "letters"
        assert names.forbid_mirroring
    digits = read_mirror_names(list("0123456789"))  # what exporters call the classes of photos too
    assert (digits.glyphs, digits.forbid_mirroring) == ("digits", False)
    assert read_mirror_names([str(number) for number in range(43)]).glyphs is None


def test_ten_thousand_classes_take_no_time_to_speak_of() -> None:
    began = time.perf_counter()
    assert read_mirror_names([f"part_{number}_left" for number in range(10_000)]).pairs == ()
    assert time.perf_counter() - began < 15
