-- What audits said, so that whatever was made from the cycle can say it, too; the last one counts.
CREATE TABLE audits (
    cycle VARCHAR NOT NULL,
    votes UINTEGER NOT NULL,       -- that it rests on
    figures JSON NOT NULL,         -- {"judges": {judge: {figure: {value, low, high, n}}}, "panel": {figure: ...}}; null: undefined
    created_at TIMESTAMP NOT NULL
);
