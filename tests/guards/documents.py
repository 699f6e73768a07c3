"""Documents in five locales, generated with the places of the personal data in them."""

import functools
import ipaddress
import string
from dataclasses import dataclass

import phonenumbers
from hypothesis import strategies as st
from stdnum import iban, luhn

REGIONS = ("DE", "FR", "US", "JP", "BR")

ALNUM = string.ascii_letters + string.digits


@dataclass(frozen=True, eq=False)
class Locale:
    region: str
    labels: dict[str, str]
    prose: tuple[str, ...]
    glue: str
    letters: str


LOCALES = (
    Locale(
        "DE",
        {
            "email": "E-Mail: ",
            "phone": "Telefon: ",
            "iban": "IBAN: ",
            "card": "Kreditkarte: ",
            "ip": "IP-Adresse: ",
            "secret": "Schlüssel: ",
        },
        (
            "Sehr geehrte Frau Müller,",
            "Ihre Bestellung 2024-10-4711 vom 03.05.2024 über 1.234,56 € ist da.",
            "Straße 12, 10115 Berlin",
        ),
        "\n",
        "abcxyzäöüß",
    ),
    Locale(
        "FR",
        {
            "email": "Courriel : ",
            "phone": "Tél. : ",
            "iban": "IBAN : ",
            "card": "Carte bancaire : ",
            "ip": "Adresse IP : ",
            "secret": "Clé : ",
        },
        (
            "Chère Zoé,",
            "la facture n° F-2024/118 du 3 mai 2024 s’élève à 1 234,56 €.",
            "12, rue de l’Église, 75011 Paris",
        ),
        " ; ",
        "abcxyzéèç",
    ),
    Locale(
        "US",
        {
            "email": "Email: ",
            "phone": "Phone: ",
            "iban": "IBAN: ",
            "card": "Card no. ",
            "ip": "IP address ",
            "secret": "API key: ",
        },
        (
            "Dear Ms. O'Neil,",
            "your order #10042 of 05/03/2024 ($1,234.56) has shipped at 2:30 PM.",
            "350 Fifth Avenue, New York, NY 10118",
        ),
        ". ",
        "abcxyz",
    ),
    Locale(
        "JP",
        {
            "email": "メールは",
            "phone": "電話番号は",
            "iban": "口座（IBAN）は",
            "card": "カード番号は",
            "ip": "IPアドレスは",
            "secret": "鍵は",
        },
        ("田中様", "2024年5月3日のご注文（番号10042、12,345円）を発送いたしました", "〒100-0001 東京都千代田区"),
        "です。",
        "abcxyz",
    ),
    Locale(
        "BR",
        {
            "email": "E-mail: ",
            "phone": "Telefone: ",
            "iban": "IBAN: ",
            "card": "Cartão: ",
            "ip": "Endereço IP: ",
            "secret": "Chave: ",
        },
        (
            "Prezado João,",
            "seu pedido nº 10042 de 03/05/2024, no valor de R$ 1.234,56, foi enviado.",
            "Avenida Paulista, 1578, 01310-200 São Paulo",
        ),
        ", ",
        "abcxyzãçõ",
    ),
)


def emails(locale):
    word = st.text(locale.letters + "0123456789", min_size=1, max_size=8)
    local = st.lists(word, min_size=1, max_size=3).flatmap(
        lambda words: st.sampled_from([separator.join(words) for separator in (".", "+", "_", "-")])
    )
    label = st.from_regex(r"[a-z](?:[a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
    return st.builds(
        "{}@{}.{}".format, local, label, st.sampled_from(["com", "de", "fr", "co.jp", "com.br", "museum", "xn--p1ai"])
    )


FORMATS = phonenumbers.PhoneNumberFormat


@functools.cache
def phones(locale):
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    international = [
        phonenumbers.format_number(number, spelling)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in kinds
        if (number := phonenumbers.example_number_for_type(region, kind))
        for spelling in (FORMATS.INTERNATIONAL, FORMATS.E164)
    ]
    national = [
        phonenumbers.format_number(number, FORMATS.NATIONAL)
        for kind in kinds
        if (number := phonenumbers.example_number_for_type(locale.region, kind))
    ]
    return st.sampled_from(international) | st.sampled_from(national)


IBANS = (
    "DE89370400440532013000 FR1420041010050500013M02606 GB29NWBK60161331926819 BR1800360305000010009795493C1 "
    "CH9300762011623852957 NO9386011117947 MT84MALT011000012345MTLCAST001S NL91ABNA0417164300 PL61109010140000071219812874"
).split()
"""The registry's examples (https://www.swift.com/standards/data-standards/iban): letters, the shortest, a long one."""


def ibans(_):
    german = st.integers(0, 10**18 - 1).map(lambda number: f"DE00{number:018}")
    number = st.sampled_from(IBANS) | german.map(lambda text: f"DE{iban.calc_check_digits(text)}{text[4:]}")
    return number.flatmap(
        lambda text: st.sampled_from([text, iban.format(text), iban.format(text).replace(" ", "\u00a0")])
    )


def cards(_):
    network = st.sampled_from(
        [
            ("4", 16),
            ("51", 16),
            ("2221", 16),
            ("37", 15),
            ("36", 14),
            ("3528", 16),
            ("6011", 16),
            ("62", 16),
            ("6362970", 16),
        ]
    )

    def complete(network_and_digits):
        (prefix, length), digits = network_and_digits
        body = (prefix + digits)[: length - 1]
        return body + luhn.calc_check_digit(body)

    def group(number):
        sizes = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}[len(number)]
        groups, rest = [], number
        for size in sizes:
            groups.append(rest[:size])
            rest = rest[size:]
        return st.sampled_from([number, " ".join(groups), "-".join(groups)])

    return st.tuples(network, st.text("0123456789", min_size=16, max_size=16)).map(complete).flatmap(group)


def is_machine(address):
    return not (
        address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or (address.version == 4 and address.is_reserved)
    )


def addresses(_):
    machines = st.sampled_from(["10.1.2.3", "192.168.178.1", "2001:db8::1", "fe80::1"]).map(
        ipaddress.ip_address
    ) | st.ip_addresses(v=4)
    long = st.ip_addresses(v=6).filter(
        lambda address: len(str(address).replace(":", "")) > 4 and not str(address).replace(":", "").isalpha()
    )
    return (machines | long).filter(is_machine).map(str)


def text(length, alphabet=ALNUM):
    """Random characters, with a letter and a digit."""
    return st.text(alphabet, min_size=length - 2, max_size=length - 2).map(lambda body: f"a{body}7")


SECRETS = (
    ("sk-ant-api03-", 95), ("sk-proj-", 48), ("sk-or-v1-", 64), ("AIza", 35), ("gsk_", 52), ("xai-", 80), ("csk-", 48), ("pplx-", 48),
    ("nvapi-", 64), ("hf_", 34), ("r8_", 37), ("ghp_", 36), ("github_pat_", 82), ("glpat-", 20), ("xoxb-", 40), ("npm_", 36), ("AQ.Ab8", 44),
)  # fmt: skip


def secrets(_):
    return st.sampled_from(SECRETS).flatmap(lambda key: text(key[1]).map(lambda body: key[0] + body)) | text(32).map(
        lambda body: f"eyJ{body}.eyJ{body}.{body}"
    )


VALUES = {"email": emails, "phone": phones, "iban": ibans, "card": cards, "ip": addresses, "secret": secrets}


@dataclass(frozen=True)
class Document:
    """A text, the places of the values in it (start, end, kind), and the regions of its national phone numbers."""

    text: str
    spans: list[tuple[int, int, str]]
    regions: tuple[str, ...]

    def values(self):
        return {(kind, self.text[start:end]) for start, end, kind in self.spans}


@st.composite
def documents(draw, size=4):
    locale = draw(st.sampled_from(LOCALES))
    pieces = []
    for _ in range(draw(st.integers(0, size))):
        kind = draw(st.sampled_from(sorted(VALUES)))
        pieces += [draw(st.sampled_from(("", *locale.prose))), locale.glue, locale.labels[kind]]
        pieces += [(kind, draw(VALUES[kind](locale))), locale.glue]
    return join([*pieces, draw(st.sampled_from(("", *locale.prose)))], locale)


def join(pieces, locale):
    """Put texts and values, each with its kind, together."""
    text, spans = "", []
    for piece in pieces:
        kind, value = ("", piece) if isinstance(piece, str) else piece
        if kind:
            spans.append((len(text), len(text) + len(value), kind))
        text += value
    return Document(text, spans, (locale.region,))
