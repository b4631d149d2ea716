-- A string that changes whenever the result of `names.sql` might have changed. Labels of enums have rows of their own.
SELECT pg_catalog.concat_ws('.', /*fingerprint*/, (
    SELECT pg_catalog.concat_ws('.', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashint8(
        (e.xmin::pg_catalog.text::pg_catalog.int8 << 32) | e.oid::pg_catalog.int8)::pg_catalog.int8))
    FROM pg_catalog.pg_enum e))
