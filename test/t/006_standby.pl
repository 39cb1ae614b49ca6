# A streaming standby: everything that reads works there, a cursor ahead counts as lag, and after promotion ids continue
# correctly at once.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $primary = rill_node('primary', init => [ allows_streaming => 1 ], conf => "max_prepared_transactions = 10\n");
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
my $writer = session($primary);
my $reader = session($standby);
my $control = session($standby);
sub catch_up { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert')); return }

$writer->run("SELECT stream_append('s', 'a'), stream_append('s', 'b'), stream_append('s', 'c'); SELECT stream_append('closed', 'x', eof => true)");
$writer->run("SELECT stream_append('closed2', 'x', eof => true, producer => 'p', producer_epoch => 9000000000, producer_seq => 1)");
catch_up();

# Writes are refused and break nothing.
for (
	[ 'stream_append', "SELECT stream_append('s', 'x')" ],
	[ 'stream_append_many', "SELECT stream_append_many('s', ARRAY['x']::bytea[])" ],
	[ 'stream_append to a new stream', "SELECT stream_append('new', 'x')" ],
	[ 'stream_append by a producer', "SELECT stream_append('s', 'x', producer => 'p', producer_epoch => 1, producer_seq => 1)" ],
	[ 'stream_append_text', "SELECT stream_append_text('s', 'x')" ],
	[ 'stream_try_append', "SELECT stream_try_append('s', '{x}')" ],
	[ 'stream_try_append of nothing', "SELECT stream_try_append('new', '{}', create_stream => false)" ],
	[ 'stream_close', "SELECT stream_close('s')" ],
	[ 'stream_create', "SELECT stream_create('new')" ],
	[ 'stream_listen', 'SELECT stream_listen()' ])
{
	fails($reader, $_->[1], '25006', 'stream_\w+\(\)', "$_->[0] is refused on a standby");
}
fails($reader, 'SELECT stream_listen()', '25006', 'HINT:.*stream_wait', 'and stream_listen says what works instead');

# Reads work.
is(chunks($reader, 's'), '1:a 2:b 3:c', 'stream_read_since reads');
is($reader->run("SELECT string_agg(stream || chunk_id, ' ' ORDER BY stream, chunk_id) FROM stream_read_many(ARRAY['s', 'closed'], ARRAY[1, 0])"), 'closed1 s2 s3', 'stream_read_many reads');
is($reader->run("SELECT * FROM stream_producer_state('closed2', 'p')"), '9000000000|1|1', 'stream_producer_state works');
is($reader->run("SELECT stream_head('s'), (stream_seek('s', -1)).chunk_id, (stream_seek('s', 1)).chunk_id, stream_seek_time('s', 'infinity')"), '3|2|1|3', 'head and seek work');
is($reader->run("SELECT first_id, head_id, closed, chunks, bytes, waiters FROM stream_info, stream_size(name) WHERE name = 's'"), '1|3|f|3|3|0', 'stream_info works');
is($reader->run('SELECT notifier_state, listeners FROM stream_stat'), 'absent|0', 'stream_stat works');
my $epoch = $writer->run("SELECT epoch FROM stream_read_since('s', 2)");
is($reader->run("SELECT stream_verify('s', 3, $epoch)"), 't', 'stream_verify knows the chunk by the epoch of the primary');
fails($reader, "SELECT stream_verify('s', 3, $epoch + 1)", 'RL003', 'history', 'and knows one that is another');
is($reader->run("SELECT stream_wait('closed', 1)"), '1', 'at the EOF there is nothing to wait for');
is($reader->run("SELECT count(*), max(sqlstate) FROM stream_fetch(ARRAY['s'], ARRAY[0])"), '1|', 'stream_fetch reads');

# A cursor ahead is lag.
is(chunks($reader, 's', 5), '', 'a cursor ahead has nothing to read yet');
is($reader->run("SELECT stream_wait('s', 5, '0') IS NULL"), 't', 'nor to wait for with timeout 0');
is($reader->run("SELECT stream_verify('s', 5, $epoch) IS NULL"), 't', 'stream_verify cannot tell yet');
fails($writer, "SELECT * FROM stream_read_since('s', 5)", 'RL003', 'history', 'while on the primary it is an error');
fails($reader, "SELECT * FROM stream_read_since('nothing', 5)", 'RL007', 'no stream', 'a stream that does not exist does not count as lag');

# Waiting
$reader->start("SELECT stream_wait('s', 3, '1 hour')");
ok(asleep($control, $reader), 'stream_wait sleeps on a standby');
is($control->run("SELECT waiters FROM stream_info WHERE name = 's'"), '1', 'and is counted');
$writer->run("SELECT stream_append('s', 'd')");
is($reader->finish, '4', 'and ends when the chunk has been replayed');
$reader->start("CALL stream_await_many(ARRAY['s', 'new'], ARRAY[4, 0], '1 hour')");
ok(asleep($control, $reader), 'stream_await_many sleeps on a standby');
is($control->run('SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = ' . $reader->pid), 't', 'without a snapshot');
$writer->run("SELECT stream_append('new', 'x')");
is($reader->finish, '{new}', 'and ends when a new stream has been replayed');
$reader->start("SELECT stream_wait('s', 7, '1 hour')");
ok(asleep($control, $reader), 'a session waits with a cursor ahead');
$control->run('SELECT pg_cancel_backend(' . $reader->pid . ')');
$reader->finish;
like($reader->error, qr/57014/, 'and can be cancelled');

# The stable prefix
my $open = session($primary);
$open->run("BEGIN; SELECT stream_append('s', 'e')");
$writer->run("SELECT stream_append('s', 'f')");
catch_up();
is(chunks($reader, 's', 3), '4:d', 'an open transaction on the primary holds back the prefix on the standby');
is($reader->run("SELECT stream_head('s')"), '4', 'and the head');
$open->run('COMMIT');
catch_up();
is(chunks($reader, 's', 3), '4:d 5:e 6:f', 'its commit releases it');
$open->run("BEGIN; SELECT stream_append('s', 'prepared'); PREPARE TRANSACTION 'p'");
$writer->run("SELECT stream_append('s', 'h')");
catch_up();
is(chunks($reader, 's', 5), '6:f', 'so does a prepared transaction');
$standby->restart;
$_->quit for $reader, $control;
$reader = session($standby);
$control = session($standby);
is(chunks($reader, 's', 5), '6:f', 'also after a restart of the standby');
$reader->start("SELECT stream_wait('s', 6, '1 hour')");
ok(asleep($control, $reader), 'a session waits');
$open->run("COMMIT PREPARED 'p'");
is($reader->finish, '8', 'COMMIT PREPARED on the primary ends a wait on the standby');
is(chunks($reader, 's', 5), '6:f 7:prepared 8:h', 'in order');
$open->run("BEGIN; SAVEPOINT a; SELECT stream_append('s', 'no'); ROLLBACK TO a; SELECT stream_append('s', 'j'); COMMIT");
catch_up();
is(chunks($reader, 's', 8), '10:j', 'a rolled back savepoint of the primary leaves a gap on the standby');

# Promotion, with sessions on the standby that have read and that wait, and with an open and a prepared transaction.
my $before = $reader->run("SELECT string_agg(chunk_id || ' ' || epoch, ',') FROM stream_read_since('s', 0)");
$open->run("BEGIN; SELECT stream_append('s', 'k'); PREPARE TRANSACTION 'q'");
$open->run("BEGIN; SELECT stream_append('s', 'never committed')");
$writer->run("SELECT stream_append('s', 'm')");
catch_up();
is(chunks($reader, 's', 8), '10:j', 'everything is held back');
$reader->start("SELECT stream_wait('s', 10, '1 hour')");
ok(asleep($control, $reader), 'a session waits on the standby');
$primary->stop('immediate');
$_->quit for $open, $writer;
$standby->promote;
ok(asleep($control, $reader), 'it waits across the promotion');
is($control->run("SELECT stream_append('s', 'n')"), '14', 'after the promotion the next id is above all earlier ones');
is($control->run("SELECT stream_append('s', 'o')"), '15', 'and ids continue');
is(chunks($control, 's', 8), '10:j', 'the prepared transaction still holds back the prefix');
$control->run("COMMIT PREPARED 'q'");
is($reader->finish, '15', 'the waiting session returns when it is decided');
is(chunks($reader, 's', 8), '10:j 11:k 13:m 14:n 15:o', 'no id is reused; what was lost with the primary is a gap');
is($reader->run("SELECT string_agg(chunk_id || ' ' || epoch, ',') FROM stream_read_since('s', 0, max_chunks => 9)"), $before, 'chunks read before are unchanged');
is($reader->run("SELECT count(DISTINCT epoch) FROM stream_read_since('s', 0)"), '2', 'the new primary writes with its own epoch');
is($reader->run("SELECT bool_and(epoch <> $epoch) FROM stream_read_since('s', 13)"), 't', 'and not with the old one');
is($reader->run("SELECT stream_append('after', 'x')"), '1', 'new streams can be created');
fails($reader, "SELECT * FROM stream_read_since('s', 16)", 'RL003', 'history', 'a cursor ahead is now an error');
$reader->run('SELECT stream_listen()');
ok(until_true($control, "SELECT notifier_state = 'running' FROM stream_stat"), 'sessions can listen there now');
$_->quit for $reader, $control;
$standby->stop;
done_testing();
