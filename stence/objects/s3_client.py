"""Connections to an S3 service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from stence.domain.urls import without_secrets
from stence.errors import ConfigurationError
from stence.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Short timeouts, few attempts: an outage shows within seconds, and the caller decides how long to wait.
CONNECT_SECONDS = 3
READ_SECONDS = 10
ATTEMPTS = 3
SPARE_CONNECTIONS = 4


def connect(settings: Settings, attempts: int = ATTEMPTS) -> S3Client:
    """Build a client with ``attempts`` per request. Raises ConfigurationError for invalid settings."""
    access, secret = settings.s3_access_key, settings.s3_secret_key
    if (access is None) != (secret is None):
        raise ConfigurationError("set both STENCE_S3_ACCESS_KEY and STENCE_S3_SECRET_KEY, or neither")
    if settings.s3_ca_file and not settings.s3_ca_file.is_file():
        raise ConfigurationError(f"STENCE_S3_CA_FILE={settings.s3_ca_file} is not a file")
    config = Config(
        max_pool_connections=settings.fetch_threads + SPARE_CONNECTIONS,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "adaptive", "total_max_attempts": attempts},
        # Content-MD5 instead of boto3's trailing CRC: every S3 service checks it, and some refuse the CRC.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_supported",
        s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
    )
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=settings.s3_endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=access.get_secret_value() if access else None,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            verify=str(settings.s3_ca_file) if settings.s3_ca_file else None,
            config=config,
        )
    except ValueError:
        endpoint = without_secrets(settings.s3_endpoint_url or "")
        raise ConfigurationError(
            f"STENCE_S3_ENDPOINT_URL={endpoint} is not a URL like https://s3.example.org"
        ) from None
