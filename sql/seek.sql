-- stream_seek and stream_seek_time: cursors by count and by time.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append_many('seek/s', '{a,b,c,d,e}');

-- The cursor after which reading skips that many data chunks; clamped at the tail, past which it says how many are
-- still to be skipped.
SELECT skip, chunk_id, remaining FROM unnest('{0,1,4,5,6,9223372036854775807}'::bigint[]) skip, stream_seek('seek/s', skip);
-- Negative: the last -skip are left; clamped at the beginning.
SELECT skip, chunk_id, remaining FROM unnest('{-1,-2,-5,-6,-9223372036854775808}'::bigint[]) skip, stream_seek('seek/s', skip);
SELECT convert_from(data, 'UTF8') AS data FROM stream_read_since('seek/s', (SELECT chunk_id FROM stream_seek('seek/s', -2)));
SELECT convert_from(data, 'UTF8') AS data FROM stream_read_since('seek/s', (SELECT chunk_id FROM stream_seek('seek/s', 3)));

-- An EOF never counts and is never skipped, whether it is empty or carries data.
SELECT stream_close('seek/s');
SELECT skip, chunk_id, remaining FROM unnest('{0,5,6,100,-1,-5,-6}'::bigint[]) skip, stream_seek('seek/s', skip);
SELECT chunk_id, eof FROM stream_read_since('seek/s', (SELECT chunk_id FROM stream_seek('seek/s', 100)));
SELECT stream_append_many('seek/last', '{a,b,c}', eof => true);
SELECT skip, chunk_id, remaining FROM unnest('{0,1,2,3,-1,-2,-3}'::bigint[]) skip, stream_seek('seek/last', skip);
SELECT stream_close('seek/only');
SELECT skip, chunk_id, remaining FROM unnest('{0,1,-1}'::bigint[]) skip, stream_seek('seek/only', skip);

-- Empty streams.
SELECT stream_seek('seek/none', 5), stream_seek('seek/none', -5), stream_seek_time('seek/none', 'epoch');
SELECT stream_create('seek/created');
SELECT stream_seek('seek/created', 5), stream_seek('seek/created', -5), stream_seek_time('seek/created', now());

-- Gaps are not counted.
SELECT stream_append('seek/gap', 'a');
BEGIN;
SELECT stream_append_many('seek/gap', '{x,y,z}');
ROLLBACK;
SELECT stream_append('seek/gap', 'b') AS b \gset
SELECT stream_append('seek/gap', 'c') AS c \gset
SELECT (stream_seek('seek/gap', 1)).chunk_id = 1 AS first, (stream_seek('seek/gap', 2)).chunk_id = :b AS second, (stream_seek('seek/gap', 3)).chunk_id = :c AS third,
       (stream_seek('seek/gap', -1)).chunk_id = :b AS leaves_one, (stream_seek('seek/gap', -2)).chunk_id = 1 AS leaves_two, (stream_seek('seek/gap', -3)).chunk_id = 0 AS leaves_all;

-- The result is an id that can be verified.
SELECT stream_verify('seek/gap', r.chunk_id, r.epoch) FROM stream_read_since('seek/gap', 0) r WHERE r.chunk_id = (stream_seek('seek/gap', -1)).chunk_id;

-- By time: chunks appended at or after it.
SELECT stream_seek_time('seek/s', '-infinity'), stream_seek_time('seek/s', 'epoch'), stream_seek_time('seek/s', 'infinity'),
       stream_seek_time('seek/s', now() + '1 day');
DO $$
BEGIN
  -- times that differ, whatever the clock's resolution
  FOR i IN 1..5 LOOP
    PERFORM stream_append('seek/time', convert_to(i::text, 'UTF8'));
    PERFORM pg_sleep(0.002);
  END LOOP;
END $$;
SELECT r.chunk_id, stream_seek_time('seek/time', r.appended_at) AS at, stream_seek_time('seek/time', r.appended_at + '1 microsecond') AS after
  FROM stream_read_since('seek/time', 0) r;
-- at or after the end: the last data chunk, so that the EOF is still read
SELECT stream_close('seek/time');
SELECT stream_seek_time('seek/time', 'infinity');
SELECT eof FROM stream_read_since('seek/time', stream_seek_time('seek/time', 'infinity'));
-- chunks of one batch have one time
SELECT count(DISTINCT appended_at) FROM stream_read_since('seek/last', 0);
SELECT stream_seek_time('seek/last', min(appended_at)), stream_seek_time('seek/last', min(appended_at) + '1 microsecond') FROM stream_read_since('seek/last', 0);

-- Chunks that are not readable yet do not count.
BEGIN;
SELECT stream_append('seek/own', 'a');
SELECT stream_seek('seek/own', 1), stream_seek('seek/own', -1);
ROLLBACK;
SELECT stream_seek('seek/own', 1);
