"""Numbers and dates in English words."""

import datetime

import numpy as np

from ..text import Text

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
MONTHS = (
    "january february march april may june july august september october november december"
).split()
ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth", "twenty": "twentieth", "thirty": "thirtieth",
}  # fmt: skip
FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)


def cardinal(number):
    """The words of a number below a million, as British English has them."""
    if number < 20:
        return [ONES[number]]
    if number < 100:
        return [TENS[number // 10 - 2], *_rest(number % 10)]
    if number < 1000:
        joined = ["and"] if number % 100 else []
        return [ONES[number // 100], "hundred", *joined, *_rest(number % 100)]
    joined = ["and"] if 0 < number % 1000 < 100 else []
    return [*cardinal(number // 1000), "thousand", *joined, *_rest(number % 1000)]


def _rest(number):
    return cardinal(number) if number else []


def ordinal(number):
    """The words of which one it is: "twenty", "third"."""
    *before, last = cardinal(number)
    return [*before, ORDINALS.get(last, f"{last}th")]


def year(number):
    """The words of a year from 1900 to 2099, as it is spoken."""
    century, rest = divmod(number, 100)
    if century == 20 and rest < 10:
        return cardinal(number)
    if rest == 0:
        return [*cardinal(century), "hundred"]
    return [*cardinal(century), *(["oh"] if rest < 10 else []), *cardinal(rest)]


def date(day, month_first):
    """The words of a date: "the third of march ...", or "march the third ..."."""
    which, month = ordinal(day.day), MONTHS[day.month - 1]
    words = [month, "the", *which] if month_first else ["the", *which, "of", month]
    return [*words, *year(day.year)]


def pairs(count):
    """{"train": pairs, "test": a tenth as many}: (words, digits) as Texts, none of them twice."""
    random = np.random.RandomState(0)
    counts = {"train": count, "test": max(2, count // 10)}
    total = sum(counts.values())
    made = [*_numbers(random, total // 2), *_dates(random, total - total // 2)]
    shuffled = [made[k] for k in random.permutation(total)]
    return {"train": shuffled[:count], "test": shuffled[count:]}


def _numbers(random, count):
    """Of one to six digits, each of these as often as there is room for."""
    found = {}
    while len(found) < count:
        digits = random.randint(1, 7)
        number = random.randint(10 ** (digits - 1) if digits > 1 else 0, 10**digits)
        found[number] = _pair(cardinal(number), str(number))
    return found.values()


def _dates(random, count):
    for days in random.permutation((LAST - FIRST).days + 1)[:count]:
        day = FIRST + datetime.timedelta(int(days))
        yield _pair(date(day, month_first=random.randint(2)), day.isoformat())


def _pair(words, digits):
    return Text(digits, words), Text(digits, list(digits))
