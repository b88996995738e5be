"""Numbers and texts that merchants send as references, metadata and keys every day; none is a card.

`references` makes 10,000 from a seed, in shares that a back office sees: mostly order numbers, then
telephone numbers, bank accounts, times, ids, parcels and articles.
"""

from __future__ import annotations

import datetime as dt
import random
import string
import uuid
from collections.abc import Callable, Iterator
from typing import Final

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: How companies' numbers at GS1 begin.
_COMPANIES: Final = ("40", "30", "50", "87", "00")
_BASE62: Final = string.digits + string.ascii_letters
_START: Final = dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()
_END: Final = dt.datetime(2027, 1, 1, tzinfo=dt.UTC).timestamp()

#: Country and account of an IBAN (SWIFT's registry): digits `n`, letters `a`, either `c`.
_IBANS: Final = """
    AD8n12c AE19n AL8n16c AT16n AZ4a20c BA16n BE12n BG4a6n8c BH4a14c BR23n1a1c BY4c4n16c
    CH5n12c CR18n CY8n16c CZ20n DE18n DK14n DO4c20n EE16n EG25n ES20n FI14n FK2a12n FO14n
    FR10n11c2n GB4a14n GE2a16n GI4a15c GL14n GR7n16c GT4c20c HR17n HU24n IE4a14n IL19n IQ4a15n
    IS22n IT1a10n12c JO4a4n18c KW4a22c KZ3n13c LB4n20c LC4a24c LI5n12c LT16n LU3n13c LV4a13c
    LY21n MC10n11c2n MD2c18c ME18n MK3n10c2n MR23n MT4a5n18c MU4a19n3a NI4a20n NL4a10n NO11n
    OM3n16c PK4a16c PL24n PS4a21c PT21n QA4a21c RO4a16c RS18n RU14n15c SA2n18c SC4a20n3a SD14n
    SE20n SI15n SK20n SM1a10n12c SO19n ST21n SV4a20n TL19n TN20n TR5n1n16c UA6n19c VA18n
    VG4a16n XK16n YE4a4n18c
"""

#: Country code, and national numbers as they begin; `#` is any digit.
_PHONES: Final = """
    1|2125550### 1|415####### 1|305####### 7|9######### 20|10######## 27|82#######
    30|69######## 31|6######## 32|4######## 33|6######## 33|1######## 34|6########
    36|20####### 39|3######### 39|06######## 40|7######## 41|79####### 420|7########
    43|664####### 43|676######## 43|660####### 44|7######### 44|20######## 45|########
    46|7######## 47|4####### 48|5######## 49|15######### 49|16######## 49|17########
    49|30######## 49|89####### 49|176######## 51|9######## 52|55######## 54|911########
    55|119######## 56|9######## 57|3######### 60|12####### 61|4######## 62|811########
    62|812######### 63|917####### 64|21####### 65|8####### 66|8######## 81|90########
    82|10######## 84|9######## 86|138######## 86|186######## 90|5######### 91|98########
    92|3######### 94|7######## 98|912####### 212|6######## 213|5######## 216|2#######
    221|77####### 225|07######## 233|24####### 234|803####### 251|91####### 254|7########
    255|7######## 256|7######## 351|9######## 352|621###### 353|8######## 354|#######
    355|6######## 356|79###### 357|9####### 358|40####### 359|8######## 370|6#######
    371|2####### 372|5###### 380|5######## 381|6####### 385|9######## 386|4#######
    421|9######## 593|9######## 598|9####### 852|9####### 855|1####### 880|17########
    886|9######## 961|7####### 962|7######## 965|5####### 966|5######## 971|5########
    972|5######## 974|3####### 977|98######## 994|5######## 995|5######## 998|9########
"""


class Maker:
    """Makes references of each kind; `KINDS` says how many."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.ibans, self.phones = _IBANS.split(), _PHONES.split()

    def digits(self, count: int) -> str:
        return "".join(self.rng.choices(string.digits, k=count))

    def number(self, count: int) -> str:
        """A number of so many digits, whose first is not 0."""
        return self.rng.choice("123456789") + self.digits(count - 1)

    def at(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.rng.uniform(_START, _END), dt.UTC)

    def one_of(self, *texts: str) -> str:
        return self.rng.choice(texts)

    # ---- order numbers

    def order_of_the_day(self) -> str:
        day, count = f"{self.at():%Y%m%d}", self.digits(self.rng.randint(4, 8))
        return self.one_of(
            f"{day}{count}",
            f"{day}-{count}",
            f"order-{day}-{count}",
            f"ORD{day}{count}",
            f"{day[:4]}-{day[4:]}-{count}",
            f"{day}/{count}",
            f"{day}_{count}",
            f"#{day}{count}",
        )

    def order_of_the_short_day(self) -> str:
        day, count = f"{self.at():%y%m%d}", self.digits(self.rng.randint(4, 9))
        return self.one_of(f"{day}{count}", f"{day}-{count}", f"O-{day}-{count}", f"SO{day}{count}")

    def order_of_a_shop(self) -> str:
        shop, day = self.number(self.rng.randint(3, 5)), f"{self.at():%Y%m%d}"
        return self.one_of(
            f"{shop}-{day}-{self.digits(4)}",
            f"{shop}-{self.digits(8)}",
            f"{shop}/{day[2:]}/{self.digits(5)}",
            f"{shop}.{day}.{self.digits(3)}",
            f"S{shop}-{self.number(10)}",
            f"{shop}-{self.at():%y%m%d-%H%M%S}",
        )

    def order_in_sequence(self) -> str:
        count = self.number(self.rng.randint(5, 12))
        return self.one_of(
            count, f"#{count}", f"order_{count}", f"WC-{count}", f"PO-{count}", count.zfill(12)
        )

    def order_of_a_marketplace(self) -> str:
        return self.one_of(
            f"{self.rng.randint(100, 499)}-{self.digits(7)}-{self.digits(7)}",
            f"{self.digits(2)}-{self.digits(5)}-{self.digits(5)}",
            f"{self.rng.choice('56')}{self.digits(12)}",
            f"4{self.digits(13)}",
            f"{self.at():%y%m%d}" + "".join(self.rng.choices(_CROCKFORD, k=8)),
            f"{self.number(9)}-A",
            f"{self.number(10)}",
        )

    def order_of_16_digits(self) -> str:
        return self.rng.choice("138") + self.digits(15)

    def any_16_digits(self) -> str:
        return self.number(16)

    def invoice(self) -> str:
        at = self.at()
        return self.one_of(
            f"INV-{at:%Y}-{self.digits(6)}",
            f"RE{at:%Y%m%d}-{self.digits(4)}",
            f"{at:%Y/%m}/{self.digits(6)}",
            f"F-{at:%Y-%m-%d}-{self.digits(4)}",
            f"{at:%Y}{self.digits(6)}",
            f"RE-{at:%Y%m}{self.digits(7)}",
            f"{at:%Y}-{self.digits(4)}-{self.digits(4)}-{self.digits(4)}",
            f"{self.number(10)}",
        )

    # ---- people, accounts, times

    def phone(self) -> str:
        country, national = self.rng.choice(self.phones).split("|")
        number = "".join(self.rng.choice(string.digits) if c == "#" else c for c in national)
        half = len(number) // 2
        return self.one_of(
            f"+{country}{number}",
            f"{country}{number}",
            f"00{country}{number}",
            f"0{number}",
            f"+{country} {number[:3]} {number[3:]}",
            f"+{country} {number[:half]} {number[half:]}",
            f"{country} {number[:3]} {number[3:]}",
            f"+{country}-{number[:3]}-{number[3:6]}-{number[6:]}",
            f"+{country} ({number[:2]}) {number[2:5]} {number[5:]}",
            f"tel:+{country}{number}",
            f"{country}-{number[:3]}-{number[3:]}",
            f"0{number[:3]}/{number[3:]}",
        )

    def iban(self) -> str:
        form = self.rng.choice(self.ibans)
        country, account, count = form[:2], "", ""
        for char in form[2:]:
            if char.isdigit():
                count += char
                continue
            of = {"n": string.digits, "a": string.ascii_uppercase, "c": string.digits}[char]
            account += "".join(self.rng.choices(of, k=int(count)))
            count = ""
        rest = int("".join(str(int(char, 36)) for char in f"{account}{country}00")) % 97
        written = f"{country}{98 - rest:02d}{account}"
        blanks = " ".join(written[i : i + 4] for i in range(0, len(written), 4))
        return self.one_of(written, blanks, f"IBAN {blanks}", f"iban:{written}")

    def bank_reference(self) -> str:
        at = self.at()
        slip = self.digits(27)
        return self.one_of(
            " ".join([slip[:2], *(slip[i : i + 5] for i in range(2, 27, 5))]),
            slip,
            f"E2E-{at:%Y%m%d}-{self.digits(10)}",
            f"420000{self.digits(4)}{at:%Y%m%d}{self.digits(10)}",
            f"{at:%Y%m%d}22001{self.digits(15)}",
            self.digits(20),
            f"NOTPROVIDED{self.digits(6)}",
            f"{self.digits(5)}.{self.digits(5)} {self.digits(5)}.{self.digits(6)}"
            f" {self.digits(5)}.{self.digits(6)} {self.digits(1)} 16{self.digits(12)}",
        )

    def time(self) -> str:
        at = self.at()
        seconds = at.timestamp()
        return self.one_of(
            str(int(seconds)),
            str(int(seconds * 1e3)),
            str(int(seconds * 1e6)),
            str(int(seconds * 1e9)),
            f"{seconds:.3f}",
            f"{seconds:.6f}",
            f"{at:%Y%m%d%H%M%S}",
            f"{at:%Y%m%d%H%M%S}{self.digits(3)}",
            f"{at:%Y%m%d%H%M%S%f}",
            f"{at:%y%m%d%H%M%S}",
            f"{at:%d%m%Y%H%M%S}",
            f"{at:%Y%m%dT%H%M%SZ}",
            at.isoformat(),
            at.isoformat(sep=" "),
            f"{at:%Y-%m-%d %H:%M:%S}",
            f"{at:%d.%m.%Y %H:%M:%S}",
            f"{at:%Y-%m-%d-%H-%M-%S-%f}",
            f"order-{int(seconds * 1e3)}",
            f"{int(seconds)}-{self.digits(5)}",
        )

    # ---- ids

    def uuid(self) -> str:
        value = uuid.UUID(bytes=self.rng.randbytes(16), version=self.rng.choice([1, 3, 4, 5]))
        if self.rng.random() < 0.4:
            millis = int(self.rng.uniform(_START, _END) * 1000)
            value = uuid.UUID(int=millis << 80 | 7 << 76 | 2 << 62 | self.rng.getrandbits(62))
        return self.one_of(
            str(value),
            str(value),
            value.hex,
            str(value).upper(),
            f"urn:uuid:{value}",
            f"order-{value}",
            f"{{{value}}}",
            f"{value}-1",
        )

    def token(self) -> str:
        stamp = f"{int(self.rng.uniform(_START, _END)):08x}"
        return self.one_of(
            "01" + "".join(self.rng.choices(_CROCKFORD, k=24)),
            f"{stamp}{self.rng.getrandbits(64):016x}",
            "".join(self.rng.choices(_BASE62, k=self.rng.choice([12, 16, 21, 27]))),
            f"{self.rng.getrandbits(64):016x}",
            f"{self.rng.getrandbits(160):040x}",
            f"{self.rng.getrandbits(256):064x}",
            f"cus_{''.join(self.rng.choices(_BASE62, k=14))}",
            f"{self.rng.uniform(0, 100)}",
        )

    def snowflake(self) -> str:
        """64 bits, on top the milliseconds since an epoch of the service: 17 to 19 digits."""
        epoch = dt.datetime(self.rng.randint(2010, 2025), self.rng.randint(1, 12), 1, tzinfo=dt.UTC)
        millis = max(self.rng.uniform(_START, _END) - epoch.timestamp(), 3e6) * 1000
        value = int(millis) << 22 | self.rng.getrandbits(22)
        return self.one_of(str(value), f"order_{value}", f"{value}")

    # ---- parcels and articles

    def parcel(self) -> str:
        usps = self.rng.choice(["9200", "9205", "9261", "9361", "9400", "9405"]) + self.digits(17)
        usps += _gs1_digit(usps)
        ups = "".join(
            self.rng.choices(string.digits, k=6)
            if self.rng.random() < 0.3
            else self.rng.choices(string.ascii_uppercase + string.digits, k=6)
        ) + self.digits(9)
        dhl = "0034043" + self.digits(12)
        return self.one_of(
            usps,
            " ".join(usps[i : i + 4] for i in range(0, 22, 4)),
            f"1Z{ups}{_ups_digit(ups)}",
            self.rng.choice("2678") + self.digits(11),
            "9" + self.digits(14),
            "96" + self.digits(20),
            self.digits(10),
            dhl + _gs1_digit(dhl),
            "JD0146" + self.digits(12),
            "JJD" + self.digits(18),
            f"{''.join(self.rng.choices(string.ascii_uppercase, k=2))}{self.digits(9)}DE",
            self.digits(14),
            self.digits(4) + " " + self.digits(4) + " " + self.digits(4),
        )

    def article(self) -> str:
        """GTIN-13, by how many companies of each country have a prefix."""
        country = self.one_of(
            "40",
            "42",
            "43",
            "30",
            "50",
            "54",
            "57",
            "59",
            "69",
            "76",
            "80",
            "84",
            "87",
            "90",
            "88",
            "49",
            "46",
            "00",
            "07",
            "97",
            "64",
            "73",
        )
        body = country + self.digits(10)
        return body + _gs1_digit(body)

    def case(self) -> str:
        body = self.rng.choice("1112345") + self.one_of(*_COMPANIES) + self.digits(10)
        return body + _gs1_digit(body)

    def pallet(self) -> str:
        body = self.rng.choice("0001333456") + self.one_of(*_COMPANIES) + self.digits(14)
        return self.one_of("", "(00)", "(00) ") + body + _gs1_digit(body)

    def book(self) -> str:
        body = "978" + self.rng.choice("0123") + self.digits(8)
        isbn = body + _gs1_digit(body)
        divided = f"{isbn[:3]}-{isbn[3]}-{isbn[4:8]}-{isbn[8:12]}-{isbn[12]}"
        return self.one_of(isbn, divided, f"ISBN {isbn}")

    def car(self) -> str:
        signs = "".join(sorted(set(string.digits + string.ascii_uppercase) - set("IOQ")))
        return (
            "".join(self.rng.choices(signs, k=9)) + self.rng.choice("PRST") + "A" + self.digits(6)
        )

    def company(self) -> str:
        cnpj = self.digits(8) + "000" + self.digits(3)
        return self.one_of(
            f"{cnpj[:2]}.{cnpj[2:5]}.{cnpj[5:8]}/{cnpj[8:12]}-{cnpj[12:]}",
            cnpj,
            f"DE{self.digits(9)}",
            f"{self.digits(3)} {self.digits(3)} {self.digits(3)} {self.digits(5)}",
            f"FR{self.digits(11)}",
        )


def _gs1_digit(body: str) -> str:
    weighted = sum(int(c) * (1 if i % 2 else 3) for i, c in enumerate(reversed(body)))
    return str(-weighted % 10)


def _ups_digit(body: str) -> str:
    values = [int(c) if c.isdigit() else (ord(c) - 63) % 10 for c in body]
    return str(-(sum(values[0::2]) + 2 * sum(values[1::2])) % 10)


#: How many of 10,000 are of each kind.
KINDS: Final[dict[Callable[[Maker], str], int]] = {
    Maker.order_of_the_day: 1_000,
    Maker.order_of_the_short_day: 300,
    Maker.order_of_a_shop: 400,
    Maker.order_in_sequence: 800,
    Maker.order_of_a_marketplace: 400,
    Maker.order_of_16_digits: 60,
    Maker.any_16_digits: 40,
    Maker.invoice: 600,
    Maker.phone: 1_300,
    Maker.iban: 1_000,
    Maker.bank_reference: 300,
    Maker.time: 1_000,
    Maker.uuid: 900,
    Maker.token: 300,
    Maker.snowflake: 400,
    Maker.parcel: 500,
    Maker.article: 300,
    Maker.case: 100,
    Maker.pallet: 100,
    Maker.book: 100,
    Maker.car: 50,
    Maker.company: 50,
}


def references(seed: int) -> Iterator[tuple[str, str]]:
    """Kind and text of 10,000 references."""
    maker = Maker(seed)
    for make, count in KINDS.items():
        for _ in range(count):
            yield make.__name__, make(maker)
