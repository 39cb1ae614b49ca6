# Databases and the extension itself can be dropped, renamed, copied and created again after sessions have listened there,
# and in part while they listen. Nothing cached of what is gone affects what comes after.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', conf => "pg_rill.max_databases = 2\npg_rill.recheck_interval = 60s\n");
my $control = session($node);
my $notifiers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_rill notifier' AND datname";

sub listened_database
{
	my ($name) = @_;
	$control->run("CREATE DATABASE $name");
	my $listener = session($node, $name);
	$listener->run("CREATE EXTENSION pg_rill; SELECT stream_append('s', 'a'); SELECT stream_listen()");
	until_true($control, "($notifiers = '$name') = 1") or die "no notifier for $name";
	return $listener;
}

# Databases. The server waits 5 seconds for sessions to leave.

listened_database('dropped')->quit;
$control->query('DROP DATABASE dropped');
is($control->error, '', 'DROP DATABASE works when the last listener has left');

listened_database('renamed')->quit;
$control->query('ALTER DATABASE renamed RENAME TO moved');
is($control->error, '', 'ALTER DATABASE RENAME works when the last listener has left');
my $listener = session($node, 'moved');
$listener->run('SELECT stream_listen()');
ok(until_true($control, "($notifiers = 'moved') = 1"), 'the notifier comes under the new name');
is(chunks($listener, 's'), '1:a', 'the streams are there under the new name');
$listener->quit;

$control->query('CREATE DATABASE copied TEMPLATE moved');
is($control->error, '', 'CREATE DATABASE ... TEMPLATE works when the last listener has left');
my $copy = session($node, 'copied');
my $original = session($node, 'moved');
is(chunks($copy, 's'), '1:a', 'the copy has the streams');
is($copy->run("SELECT stream_append('s', 'copy')") . $original->run("SELECT stream_append('s', 'original')"), '22', 'both continue independently');
is(chunks($copy, 's') . ' / ' . chunks($original, 's'), '1:a 2:copy / 1:a 2:original', 'and do not see each other');
my $epoch = "SELECT epoch FROM stream_read_since('s', 1)";
isnt($copy->run($epoch), $original->run($epoch), 'their new chunks differ in the epoch');
$_->quit for $copy, $original;

$listener = listened_database('forced');
$control->query('DROP DATABASE forced WITH (FORCE)');
is($control->error, '', 'DROP DATABASE WITH (FORCE) works while a session listens and the notifier runs');
$listener->query('SELECT 1');
like($listener->error, qr/57P01|connection/, 'and ends the listening session');
ok(until_true($control, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_rill notifier'"), 'no notifier is left');

# Each of those databases used one of only two slots; all slots were freed.
$listener = session($node);
$listener->run('SELECT stream_listen()');
ok(until_true($control, "($notifiers = 'postgres') = 1"), 'slots of dropped databases are reused');
is($control->run('SELECT notifier_state FROM stream_stat'), 'running', 'and stream_stat shows the new one');
my $mark = -s $node->logfile;
my $second = session($node, 'moved');
$second->run('SELECT stream_listen()');
ok(until_true($control, "($notifiers = 'moved') = 1"), 'two databases have notifiers at once');
my $third = session($node, 'copied');
$third->run('SELECT stream_listen()');
like($third->error, qr/WARNING: .*no free slot.*HINT:  Increase "pg_rill.max_databases"/s, 'a session in a third is warned that it gets no wake-ups');
$third->start("SELECT stream_wait('s', 2, '1 hour')");
ok(asleep($control, $third), 'a session waits there');
my $writer = session($node, 'copied');
$writer->run("SELECT stream_append('s', 'x')");
is($third->finish, '3', 'and is woken nevertheless');
session($node, 'moved')->run("SELECT stream_append('s', 'x')");  # has a slot
session($node, 'copied')->run("SELECT stream_append('s', 'x')");
is(log_count($node, qr/pg_rill has no free slot for database \d+/), 1, 'one log line reports the missing slot, however many sessions need it');
$_->quit for $second, $third, $writer;

# DROP EXTENSION while the notifier runs

my $cached = session($node);
$cached->run("SELECT stream_append('s', 'old'), stream_append('s', 'old'), stream_append('s', 'old', eof => true); SELECT stream_append('open', 'old') FROM generate_series(1, 5)");
is(chunks($cached, 'open', 4), '5:old', 'a session has used the streams');
my $old_epoch = $cached->run("SELECT epoch FROM stream_read_since('open', 4)");

$control->run('BEGIN; DROP EXTENSION pg_rill');
fails($control, "SELECT stream_append('open', 'x')", '42883', 'does not exist', 'a dropped extension is gone for its transaction');
$control->run('ROLLBACK');
is($cached->run("SELECT stream_append('open', 'old')"), '6', 'after a rolled back DROP EXTENSION, ids continue');
is(chunks($cached, 'open', 4), '5:old 6:old', 'and so do reads');
$listener->notified(qr/\d/);
$cached->run("SELECT stream_append('open', 'old')");
ok((grep { /\d/ } $listener->notified(qr/\d/)), 'and listeners are notified');
fails($cached, "SELECT stream_append('s', 'x')", 'RL001', 'closed', 'and what was closed is closed');

$control->run('DROP EXTENSION pg_rill');
pass('DROP EXTENSION is not held up by the notifier');
fails($cached, "SELECT stream_append('open', 'x')", '42883', 'does not exist', 'its functions are gone');
is($control->run("$notifiers = 'postgres'"), '1', 'the notifier stays for the session that listens');

$control->run('CREATE EXTENSION pg_rill');
is($control->run("SELECT stream_append('other', 'new')"), '1', 'created again, the extension works');
is($cached->run("SELECT stream_append('open', 'new')"), '1', 'ids start again at 1, even in a session that knew the old stream');
is($cached->run("SELECT stream_append('s', 'new')"), '1', 'a stream that was closed is open');
is(chunks($cached, 'open') . ' ' . chunks($cached, 's'), '1:new 1:new', 'nothing of the old streams is read');
fails($cached, "SELECT * FROM stream_read_since('open', 7)", 'RL003', 'history', 'a cursor of the old stream is diverged');
fails($cached, "SELECT stream_verify('open', 1, $old_epoch)", 'RL003', 'history', 'and so is an old chunk whose id was given again');
$listener->notified(qr/\d/);
$cached->run("SELECT stream_append('open', 'new')");
ok((grep { /\d/ } $listener->notified(qr/\d/)), 'the session that listened all the time is notified of the new streams');

my $waiter = session($node);
my $wakeups = $control->run('SELECT wakeups FROM stream_stat');
$waiter->start("SELECT stream_wait('open', 2, '1 hour')");
ok(asleep($control, $waiter), 'a session waits');
$cached->run("SELECT stream_append('open', 'new')");
is($waiter->finish, '3', 'waits work');
is($control->run("SELECT wakeups - $wakeups FROM stream_stat"), '1', 'and get wake-ups');

# While a session waits: a sleeping wait holds no lock on the tables.
$waiter->start("SELECT stream_wait('open', 3, '1 hour')");
ok(asleep($control, $waiter), 'a session waits');
$control->query("SET lock_timeout = '20 s'; DROP EXTENSION pg_rill; RESET lock_timeout");
is($control->error, '', 'DROP EXTENSION does not wait for a session in stream_wait');
$waiter->finish;
like($waiter->error, qr/ERROR:  42704: .*pg_rill.* does not exist/, 'and the wait ends with an error that says what is missing');

$control->run('CREATE SCHEMA elsewhere; CREATE EXTENSION pg_rill SCHEMA elsewhere');
is($waiter->run("SELECT elsewhere.stream_append('open', 'third'), elsewhere.stream_append('open', 'third')"), '1|2',
	'created again in another schema, the extension works in a session that knew it before');
is($waiter->run("SELECT elsewhere.stream_wait('open', 1)"), '2', 'and finds its tables there');
$_->quit for $waiter, $listener, $cached, $control;

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process crashed');
$node->stop;
done_testing();
