"""Rules about size: what takes the bytes of a file."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, log2

from optimizers import registry
from optimizers.diagnosis.facts import Facts, skipped
from optimizers.diagnosis.finding import Figure, Finding, Rule
from optimizers.figures.format import count, listed, percent, size
from optimizers.findings import Tone
from optimizers.litert.census import Counted

_MANY_ZEROS = 0.25
"""Share of zeros that no rounding to 8 bits explains: int8 files of dense models have below 2%."""
_WHOLE_BYTES = 8
_FEW_VALUES = 256
_SHORTER = 0.7
"""Clustered weights could be told in at most such a share of the bits that they take."""
_REPEATED = 4
"""Each distinct value of a clustered kernel occurs at least so often on average, zeros aside."""
_FLOATS = 0.1
_SCALES = 0.12
_STRUCTURE = 0.4
_SHORT_OF = 0.8
"""A file that shrinks by less than this share of what its weights shrink by is held back by something else."""
_TWINS = 0.02
_OPTIMIZER = 0.1
_MOST_REASONS = 4


def zeros_stored(facts: Facts) -> Iterable[Finding]:
    """Weights were pruned, and the file stores every zero."""
    dense = [w for w in facts.own.kernels if w.bits >= _WHOLE_BYTES and w.place not in facts.own.sparse]
    values, zeros = sum(w.values for w in dense), sum(w.values - w.nonzero for w in dense)
    if not values or zeros / values < _MANY_ZEROS:
        return
    text = f"{percent(zeros / values)} of the weights are zero, but the file stores all of them"
    advice = "Ship it compressed. LiteRT on this CPU does not skip zeros: "
    advice += "use structured pruning, which removes whole channels, for speed and for a smaller unpacked file."
    if not facts.own.quantized:
        advice += " Int8 after pruning keeps the zeros and stores each weight in a quarter of the bytes."
    shown = (Figure("Zeros", zeros / values, "fraction"), Figure("Stored", sum(w.stored_bytes for w in dense), "B"))
    yield _compressible("zeros are stored", facts, text, advice, shown)


def clusters_stored(facts: Facts) -> Iterable[Finding]:
    """Weights share few values, and the file spells each of them out."""
    kernels = [w for w in facts.own.kernels if w.values and w.place not in facts.own.sparse]
    few = [w for w in kernels if _clustered(w)]
    if not few or sum(w.stored_bytes for w in few) < sum(w.stored_bytes for w in kernels) / 2:
        return
    most, bits = max(w.unique for w in few), max(w.bits for w in few)
    text = (
        f"Kernels hold at most {most} distinct values each, which {_index_bits(most)} bits could tell apart, but the "
    )
    text += f"file spends {bits} bits on each weight"
    advice = "Ship it compressed: LiteRT has no format for shared values and does not compute faster with them."
    if not facts.own.quantized:
        advice += " Int8 after clustering takes a quarter of the bytes, and keeps the clusters."
    shown = (Figure("Distinct values", most, "count"), Figure("Bits of each weight", bits, "count"))
    yield _compressible("clusters are stored in full", facts, text, advice, shown)


def _compressible(case: str, facts: Facts, text: str, advice: str, shown: tuple[Figure, ...]) -> Finding:
    if facts.compressed is not None:
        packed = facts.compressed.value
        text += f"; compressed it is {facts.own.size / packed:.1f}x smaller than unpacked ({size(packed)})"
        shown += (Figure("Compressed", packed, "B"), Figure("Unpacked over compressed", facts.own.size / packed, "x"))
    return Finding(case, "size", f"{text}.", advice, shown, _worry(not facts.same and not facts.shrank))


def _clustered(weight: Counted) -> bool:
    few = weight.unique <= _FEW_VALUES and _index_bits(weight.unique) <= _SHORTER * weight.bits
    return few and weight.nonzero >= _REPEATED * weight.unique and weight.values >= 2 * _FEW_VALUES


def _index_bits(values: int) -> int:
    return max(1, ceil(log2(max(2, values))))


def densified(facts: Facts) -> Iterable[Finding]:
    """Zeros are left out of the file, and LiteRT fills them in."""
    stored, dense = facts.own.sparse_bytes
    if not dense:
        return
    layers = listed(facts.own.layer(w) for w in facts.own.weights if w.place in facts.own.sparse)
    text = (
        f"Weights of {layers} are stored without their zeros, in {size(stored)} instead of {size(dense)}, but LiteRT "
    )
    text += "fills the zeros in when it loads the file: in memory and in time they are dense."
    advice = "It saves storage and transfer only; structured pruning saves time and memory as well."
    shown = (Figure("Stored without zeros", stored, "B"), Figure("After loading", dense, "B"))
    yield Finding("sparse file is unpacked at load", "speed", text, advice, shown)


def nothing_quantized(facts: Facts) -> Iterable[Finding]:
    """A step was to store fewer bits, and did not."""
    asked = facts.last and registry.technique(facts.last).family == "quantization" and facts.last != "float16"
    if not asked or facts.own.quantized:
        return
    reasons = list(skipped(facts.chain[-1]).items())
    told = "; ".join(f"{layer}: {why}" for layer, why in reasons[:_MOST_REASONS])
    more = f"; and {len(reasons) - _MOST_REASONS} more" if len(reasons) > _MOST_REASONS else ""
    text = f"No kernel was quantized{f' ({told}{more})' if told else ''}."
    shown = (Figure("Kernels", len(facts.own.kernels), "count"),)
    yield Finding("nothing was quantized", "size", text, _full_int8(facts), shown, "warning")


def floats_left(facts: Facts) -> Iterable[Finding]:
    """Some kernels of a quantized file are still stored in floating point."""
    own = facts.own
    left = [w for w in own.kernels if w.dtype.startswith("float")]
    share = sum(w.stored_bytes for w in left) / max(1, own.weight_bytes)
    if not own.quantized or share < _FLOATS:
        return
    reasons = skipped(facts.chain[-1]) if facts.chain else {}
    why = next((reasons[own.layer(w)] for w in left if own.layer(w) in reasons), "")
    text = f"{percent(share)} of the weights' bytes are still floating point: {listed(own.layer(w) for w in left)}"
    text += f" (for example {why})." if why else "."
    shown = (Figure("In floating point", share, "fraction"), Figure("Such kernels", len(left), "count"))
    yield Finding("float weights are left", "size", text, _full_int8(facts), shown)


def _full_int8(facts: Facts) -> str:
    return "Full int8 quantization takes small kernels as well." if facts.last == "dynamic_range" else ""


def half_floats(facts: Facts) -> Iterable[Finding]:
    """Weights are stored in 16 bits and computed with in 32."""
    stored = sum(w.stored_bytes for w in facts.own.kernels if w.dtype == "float16")
    if not stored or not facts.own.unpacked["DEQUANTIZE"]:
        return
    text = (
        f"{size(stored)} of weights are stored as float16, but LiteRT widens them to float32 when it loads the file: "
    )
    text += f"then they take {size(2 * stored)}, and it computes as before."
    advice = "Float16 halves storage and transfer only; int8 quantization makes computing faster as well."
    shown = (Figure("Stored", stored, "B"), Figure("After loading", 2 * stored, "B"))
    yield Finding("float16 is widened at load", "speed", text, advice, shown)


def structure(facts: Facts) -> Iterable[Finding]:
    """The weights shrank, but much of the file is something else."""
    own, other = facts.own, facts.reference
    taken, shrank = own.rest_bytes - own.scale_bytes, other.weight_bytes / max(1, own.weight_bytes)
    held = shrank > 1.2 and facts.smaller < _SHORT_OF * shrank and taken > (1 - _SHORT_OF) * own.weight_bytes
    if not held and taken / own.size < _STRUCTURE:
        return
    text = (
        f"Only {size(own.weight_bytes)} of the file's {size(own.size)} are weights; {size(taken)} describe the model."
    )
    if held:
        text = f"The weights became {shrank:.1f}x smaller, the file {_changed(facts)}: {size(taken)} of "
        text += f"its {size(own.size)} describe the model, not its weights."
    advice = "Such bytes come with every operator and tensor and cannot be quantized; fewer layers have fewer of them."
    if len(own.ops) > 3 * len(other.ops):
        advice = f"It has {count(len(own.ops))} operators where {facts.called} has {count(len(other.ops))}, because a "
        advice += "recurrent layer was unrolled; "
        whole = "dynamic_range with " if facts.last in ("int8", "int16x8") else ""  # a loop cannot be of whole numbers
        advice += f"{whole}the setting “recurrent layers: fused” makes a smaller file."
    shown = (
        Figure("Weights", own.weight_bytes, "B"),
        Figure("Description of the model", taken, "B"),
        Figure("Operators", len(own.ops), "count"),
    )
    yield Finding("structure takes space", "size", text, advice, shown, _worry(facts.smaller < 1))


def _changed(facts: Facts) -> str:
    if facts.smaller < 0.95:
        return f"{1 / facts.smaller:.1f}x larger"
    return f"only {facts.smaller:.1f}x" if facts.smaller >= 1.05 else "hardly at all"


def scales(facts: Facts) -> Iterable[Finding]:
    """Channels with few weights have a scale each."""
    own = facts.own
    share = own.scale_bytes / own.size
    if share < _SCALES:
        return
    text = f"Scales of single channels take {size(own.scale_bytes)}, {percent(share)} of the file."
    advice = "Each channel of a kernel and of its bias has a scale and a zero point of its own. One scale per kernel "
    advice += "(setting “granularity: per_tensor”) does away with them and costs some accuracy."
    shown = (Figure("Scales", own.scale_bytes, "B"), Figure("Of the file", share, "fraction"))
    yield Finding("scales take space", "size", text, advice, shown)


def twins(facts: Facts) -> Iterable[Finding]:
    """The same numbers are stored more than once."""
    own = facts.own
    again = sum(taken for _, taken in own.twins)
    if again / own.size < _TWINS:
        return
    text = f"{size(again)}, {percent(again / own.size)} of the file, are stored a second time: "
    text += f"{listed(name for name, _ in own.twins)}."
    advice = "If these layers are meant to share weights, call one layer several times; its weights are stored once."
    shown = (Figure("Stored again", again, "B"), Figure("Of the file", again / own.size, "fraction"))
    yield Finding("weights are stored twice", "size", text, advice, shown)


def training_state(facts: Facts) -> Iterable[Finding]:
    """The uploaded file is large because it can go on training."""
    told = facts.original
    if told is None or told.optimizer / told.size < _OPTIMIZER:
        return
    share = told.optimizer / told.size
    text = f"{size(told.optimizer)} of the uploaded file's {size(told.size)} ({percent(share)}) are the optimizer's "
    text += f"state, which only training needs; this LiteRT file has {size(facts.own.size)} without it."
    advice = "Compare sizes with the LiteRT file of the original, or save a copy of the model that was never "
    advice += "compiled (keras.models.clone_model and set_weights)."
    shown = (Figure("Uploaded file", told.size, "B"), Figure("Optimizer's state", told.optimizer, "B"))
    yield Finding("upload holds training state", "size", text, advice, shown)


def _worry(really: bool) -> Tone:
    return "warning" if really else "plain"


RULES: tuple[Rule, ...] = (
    zeros_stored, clusters_stored, nothing_quantized, floats_left, structure, scales, twins, densified, half_floats,
    training_state,
)  # fmt: skip
