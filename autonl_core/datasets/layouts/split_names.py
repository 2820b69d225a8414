"""What people call the folders of their splits, in the languages that they speak."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Literal

from autonl_core.datasets.names import words

Part = Literal["train", "validation", "test"]

# Compared without case, accents, digits and separators.
_WORDS: dict[Part, str] = {
    "train": (
        "train training trn dev_train "
        "trainieren lernen entrainement apprentissage entrenamiento entrenar treino treinamento treinar "
        "addestramento allenamento traning trening opplaering treningsdata koulutus opetus uczenie treningowy "
        "treningowe trenink trenovaci egitim oefenen trainingsdaten antrenare tanitas tanulo latihan huanluyen "
        "обучение обучающая обучающий тренировка тренировочный тренировочная навчання тренувальна εκπαιδευση "
        "训练 訓練 學習 学习 学習 教師 훈련 학습 تدريب אימון प्रशिक्षण ฝึก"
    ),
    "validation": (
        "val valid validation validate validating dev devel development eval evaluation "
        "validierung validacion validar validacao convalida validazione validering validointi walidacja walidacyjny "
        "validace dogrulama gecerleme validatie validare validalas validasi "
        "валидация валидационный проверка валідація επικυρωση 验证 驗證 検証 검증 تحقق אימות सत्यापन"
    ),
    "test": (
        "test testing tests tst holdout held_out heldout "
        "testen prueba pruebas probar essai teste testes prova collaudo testi testowy testowe testovaci sinama proef "
        "testdaten teszt tesztelo uji pengujian "
        "тест тестовый тестовая тестирование контрольная тестування δοκιμη "
        "测试 測試 テスト 試験 评估 테스트 시험 اختبار מבחן परीक्षण ทดสอบ"
    ),
}
# What may stand beside such a word: `train_images`, `seg_test`, `set de prueba`, `01-train`, `訓練データ`.
_BESIDE = words(
    "set sets data dataset datasets images image imgs img pics pictures photos photo samples sample split splits "
    "folder dir raw cropped resized final new full part seg cls classification files jpg jpeg png the of de la du des "
    "und von daten satz bilder ensemble jeu donnees conjunto imagenes datos dados imagens dati immagini insieme zbior "
    "dane veri seti"
)
_ASIAN_BESIDE = ("数据集", "數據集", "データセット", "データ", "数据", "數據", "用", "集", "세트", "데이터", "용")
_SEPARATORS = re.compile(r"[\W_\d]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_GLUED = ("dataset", "images", "data", "set", "imgs", "img")  # `trainset`, `testimages`


@functools.lru_cache(maxsize=10_000)  # asked for every image
def split_part(folder: str) -> Part | None:
    """Which split a folder is named like; None if it is not."""
    found = [word for word in _SEPARATORS.split(_plain(_CAMEL.sub(" ", folder))) if word]
    if (whole := _PARTS.get("".join(found))) is not None:
        return whole
    parts = [_PARTS.get(word) or _glued(word) for word in found]
    named = {part for part in parts if part is not None}
    beside = all(part is not None or word in _BESIDE for part, word in zip(parts, found, strict=True))
    return named.pop() if len(named) == 1 and beside else None


def _glued(word: str) -> Part | None:
    for ending in (*_GLUED, *_ASIAN_BESIDE):
        if word.endswith(ending) and (part := _PARTS.get(word.removesuffix(ending))) is not None:
            return part
    return None


def _plain(name: str) -> str:
    """In lower case, without accents. Marks that are letters of their script, as in Korean and Hindi, stay."""
    decomposed = unicodedata.normalize("NFKD", name.casefold().replace("ı", "i"))
    bare = "".join(char for char in decomposed if not "\u0300" <= char <= "\u036f")
    return unicodedata.normalize("NFKC", bare)


_PARTS: dict[str, Part] = {
    _SEPARATORS.sub("", _plain(word)): part for part, named in _WORDS.items() for word in words(named)
}
