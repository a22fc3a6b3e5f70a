"""QuickXorHash, the only content hash that SharePoint document libraries report.

Byte i of the content is XORed into a 160-bit register at bit (11 * i) mod 160, wrapping round; at the end the length is
XORed into the last 64 bits (Microsoft's "QuickXorHash algorithm" page). Because 11 * 160 is a multiple of 160 the pattern
repeats each 160 bytes, so whole chunks are XORed together as big integers, at C speed, and spread over the register once.
"""

from base64 import b64encode

_PERIOD_BYTES = 160
_PERIOD_BITS = _PERIOD_BYTES * 8
_REGISTER_BITS = 160
_SHIFT_BITS = 11
_LENGTH_AT_BIT = 96


class QuickXorHash:
    """The hash of the bytes given to `update` so far, in calls of any size."""

    def __init__(self) -> None:
        self._folded = 0
        self._length = 0

    def update(self, data: bytes) -> None:
        """Add DATA; memory stays proportional to the largest piece given, not to their sum."""
        value = int.from_bytes(data, "little")
        # A shift copies all of it, even one by nothing; pieces of whole periods need none.
        if at_byte := self._length % _PERIOD_BYTES:
            value <<= 8 * at_byte
        self._folded ^= value
        self._length += len(data)

    def digest(self) -> bytes:
        """The 20 bytes of the hash."""
        register = 0
        for index, byte in enumerate(_fold(self._folded).to_bytes(_PERIOD_BYTES, "little")):
            register ^= byte << (_SHIFT_BITS * index % _REGISTER_BITS)
        register = (register & ((1 << _REGISTER_BITS) - 1)) ^ (register >> _REGISTER_BITS)
        register ^= self._length << _LENGTH_AT_BIT
        return register.to_bytes(_REGISTER_BITS // 8, "little")

    def base64(self) -> str:
        """The hash as Graph writes it in `file.hashes.quickXorHash`."""
        return b64encode(self.digest()).decode("ascii")


def _fold(value: int) -> int:
    """XOR all 160-byte periods of VALUE into one, halving it each time so that the cost stays linear."""
    while (periods := -(-value.bit_length() // _PERIOD_BITS)) > 1:
        half_bits = (periods + 1) // 2 * _PERIOD_BITS
        value = (value >> half_bits) ^ (value & ((1 << half_bits) - 1))
    return value
