"""The certificate that Entra ID knows the proxy by, and its private key: read from two files, and checked before they are used.

Administrators have these files from many places, so PEM and DER are taken whatever the file's name, a chain or text around
the certificate does no harm, and one PEM file may hold both. Everything wrong is reported at once, with the command that helps.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from sharepoint_proxy.errors import ConfigError

_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
# Version 3 in the outermost sequence: a PFX (RFC 7292, section 4); a PKCS#8 key has 0 there, a certificate a sequence.
_PFX_START = re.compile(rb"0(?:[\x00-\x7f]|\x80|[\x81-\x84]..{0,3}?)\x02\x01\x03", re.DOTALL)
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MIN_RSA_BITS = 2048

type_of_key = rsa.RSAPrivateKey
