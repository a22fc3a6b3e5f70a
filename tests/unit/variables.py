"""The smallest environment that the service can start with."""

from sharepoint_proxy.environment import Reading, read
from sharepoint_proxy.settings import Settings

TENANT = "11111111-2222-3333-4444-555555555555"
REQUIRED = {
    "TENANT_ID": TENANT,
    "CLIENT_ID": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "CERT_PATH": "/certs/app.cer",
    "KEY_PATH": "/certs/app.key",
    "SITE_PATH": "contoso.sharepoint.com:/sites/team",
    "WEBHOOK_SECRET": "0123456789abcdef",
    "MINIO_ACCESS_KEY": "reader",
    "MINIO_SECRET_KEY": "geheim-geheim",
    "ALLOWED_PREFIXES": "administration/,bts-sio/",
}


def read_with(**variables: str) -> Reading:
    """What becomes of the required variables with some more, or other values for some."""
    return read(REQUIRED | variables)


def settings_with(**variables: str) -> Settings:
    """The settings, which must have no problem and deserve no warning."""
    reading = read_with(**variables)
    assert (reading.problems, reading.warnings) == ((), ())
    return reading.settings


def only_problem_with(**variables: str) -> str:
    """What is said of them, which must be one sentence."""
    (problem,) = read_with(**variables).problems
    return problem


def without(*names: str) -> dict[str, str]:
    """The required variables but for some."""
    return {name: text for name, text in REQUIRED.items() if name not in names}
