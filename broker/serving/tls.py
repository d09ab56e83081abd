"""The certificate that a server shows, as the config says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from broker.assembly import make_private_directory
from broker.config.settings import development_warning
from broker.serving.certificate import Certificate
from broker.serving.development import DevelopmentCertificate, find, find_or_make

if TYPE_CHECKING:
    from broker.config import Config

logger = logging.getLogger("broker.tls")


def certificate_of(config: Config) -> Certificate | None:
    """Return the certificate that the config names, or one for development, which is made if
    there is none; raises ConfigError if it is of no use."""
    if config.server.tls == "dev":
        make_private_directory(config.broker.data_dir)
        found = _checked(find_or_make(config.broker.data_dir))
        logger.warning(development_warning(config.broker.data_dir))
        return found
    return _named(config)


def check_certificate(config: Config) -> None:
    """Raise ConfigError if a start would because of the certificate; make none."""
    if config.server.tls == "dev":
        found = find(config.broker.data_dir)
        if found is not None:
            _checked(found)
    else:
        _named(config)


def _named(config: Config) -> Certificate | None:
    tls = config.server.tls
    if tls is None or isinstance(tls, str):
        return None
    certificate = Certificate(tls.cert, tls.key)
    certificate.check(chain_named="server.tls.cert", key_named="server.tls.key")
    return certificate


def _checked(development: DevelopmentCertificate) -> Certificate:
    development.files.check(chain_named="server.tls", key_named="server.tls")
    return development.files
