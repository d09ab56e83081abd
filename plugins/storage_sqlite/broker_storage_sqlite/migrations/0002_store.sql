-- One row: whose file this is, and how many commits it has seen. The lock file remembers both, so
-- that a log that was deleted or exchanged is noticed (see witness.py).

CREATE TABLE store (
    id BLOB NOT NULL,
    commits INTEGER NOT NULL
) STRICT;

INSERT INTO store VALUES (randomblob(16), 0);
