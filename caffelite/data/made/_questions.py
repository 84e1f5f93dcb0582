"""What may be asked about a scene of digits, and the right answers."""

from ._scenes import PLACES

BESIDE = {"left of": (0, -1), "right of": (0, 1), "above": (1, -1), "below": (1, 1)}  # axis, sign


def questions(scene, random):
    """Six questions about a scene, each with its answer behind it.

    How many digits there are; whether one is there, of one that is and of one that is not; what is
    at a place, where one digit is and where none is; and what is the next one beside a digit.
    """
    there = [digit.number for digit in scene.digits]
    missing = [number for number in range(10) if number not in there]
    alone = [number for number in there if there.count(number) == 1]
    at = {place: [] for place in PLACES}
    for digit in scene.digits:
        at[scene.place(digit)].append(digit.number)
    empty, single, taken = (
        [place for place in PLACES if least <= len(at[place]) <= most]
        for least, most in ((0, 0), (1, 1), (1, len(there)))
    )
    yield f"how many digits are there ? {len(there)}"
    for numbers in (there, missing or there):
        number = _one_of(random, numbers)
        yield f"is there a {number} ? {'yes' if number in there else 'no'}"
    for places in (single or taken, empty or taken):
        place = _one_of(random, places)
        yield f"what is at the {place} ? {_all(at[place])}"
    number, beside = _one_of(random, alone or missing or there), _one_of(random, [*BESIDE])
    yield f"what is {beside} the {number} ? {_next(scene, number, *BESIDE[beside])}"


def _one_of(random, some):
    return some[random.randint(len(some))]


def _all(numbers):
    if len(numbers) > 1:
        return "several"
    return numbers[0] if numbers else "nothing"


def _next(scene, number, axis, sign):
    """The digit whose middle is next to that of `number` on its one side, or "nothing"."""
    start = next((d.middle[axis] for d in scene.digits if d.number == number), None)
    if start is None:
        return "nothing"
    far = [(sign * (digit.middle[axis] - start), digit.number) for digit in scene.digits]
    return min((one for one in far if one[0] > 0), default=(0, "nothing"))[1]
