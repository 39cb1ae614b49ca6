# Without shared_preload_libraries, everything that needs no shared memory works; the rest fails and says what to set.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', preload => 0);
my $one = session($node);
my $two = session($node);

is($one->run("SELECT stream_append('s', 'a')"), '1', 'an append works without preload');
is($two->run("SELECT stream_append_many('s', ARRAY['b', 'c']::bytea[])"), '3', 'ids continue in another session');
is(chunks($two, 's'), '1:a 2:b 3:c', 'a read works without preload');
is($one->run("SELECT stream_head('s'), (stream_seek('s', -1)).chunk_id"), '3|2', 'head and seek work without preload');
is($one->run("SELECT stream_verify('s', chunk_id, epoch) FROM stream_read_since('s', 1)"), "t\nt", 'verify works without preload');
is($one->run("SELECT stream_wait('s', 1)"), '3', 'a wait works if the chunk is already there');

$one->run("BEGIN; SELECT stream_append('s', 'held')");
$two->run("SELECT stream_append('s', 'later')");
is(chunks($two, 's', 3), '', 'the stable prefix holds without preload');
$one->run('COMMIT');
is(chunks($two, 's', 3), '4:held 5:later', 'and grows after the commit');
is($one->run("SELECT stream_close('s')"), '6', 'a close works without preload');
fails($two, "SELECT stream_append('s', 'x')", 'RL001', 'closed', 'a closed stream stays closed without preload');
is($one->run("SELECT head_id, closed, chunks, waiters IS NULL FROM stream_info, stream_size(name) WHERE name = 's'"), '6|t|5|t',
	'stream_info works without preload; waiters is null');

my $hint = 'HINT:  Add "pg_rill" to "shared_preload_libraries"';
for (
	[ 'stream_wait', "SELECT stream_wait('t', 0)" ],
	[ 'stream_wait_many', "SELECT * FROM stream_wait_many(ARRAY['t'], ARRAY[0])" ],
	[ 'stream_await', "CALL stream_await('t', 0)" ],
	[ 'a read with a timeout', "SELECT * FROM stream_read_since('t', 0, timeout => '1 s')" ],
	[ 'stream_listen', 'SELECT stream_listen()' ],
	[ 'stream_unlisten', 'SELECT stream_unlisten()' ],
	[ 'stream_stat', 'SELECT * FROM stream_stat' ])
{
	fails($one, $_->[1], '55000', $hint, "without preload, $_->[0] fails and the hint names the setting");
}
is($one->run("SELECT stream_append('t', 'still')"), '1', 'the session still works after those errors');
$_->quit for $one, $two;

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_rill'");
$node->restart;
$one = session($node);
$two = session($node);
is($one->run("SELECT stream_append('t', 'more')"), '2', 'with preload, ids continue after the earlier ones');
is(chunks($two, 't'), '1:still 2:more', 'with preload, chunks stored without it are read');
$one->start("SELECT stream_wait('t', 2, '1 hour')");
ok(asleep($two, $one), 'with preload, stream_wait sleeps');
is($two->run('SELECT waiters FROM stream_stat'), '1', 'with preload, stream_stat works');
is($two->run("SELECT waiters FROM stream_info WHERE name = 't'"), '1', 'with preload, stream_info counts waiters');
$two->run("SELECT stream_append('t', 'woken')");
is($one->finish, '3', 'with preload, stream_wait works');
is($one->run('SELECT stream_listen()'), 'pg_rill', 'with preload, stream_listen works');
$_->quit for $one, $two;
$node->stop;
done_testing();
