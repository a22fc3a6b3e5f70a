"""One JSON line an outcome on stdout, from the service and from gunicorn alike."""

from typing import Any

SERVICE = "sharepoint-proxy"


def configuration(level: str) -> dict[str, Any]:
    """The logging set-up in the form of `logging.config.dictConfig`; LEVEL is a level's name."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": ["timestamp", "levelname", "message"],
                "rename_fields": {"levelname": "level", "message": "event"},
                "static_fields": {"service": SERVICE},
                "timestamp": True,
                "json_ensure_ascii": False,
            }
        },
        "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
        "root": {"handlers": ["stdout"], "level": level.upper()},
        "loggers": {
            "gunicorn.error": {"level": "WARNING", "propagate": True, "handlers": []},
            "gunicorn.access": {"level": "WARNING", "propagate": True, "handlers": []},
            # Both write URLs, which may be upload URLs, at DEBUG; what urllib3 warns of comes as an outcome's reason too.
            "urllib3": {"level": "ERROR"},
            "msal": {"level": "WARNING"},
        },
    }
