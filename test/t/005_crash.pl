# Crashes in the middle of appends: an id that a reader may have seen is never given to another chunk; chunks of
# unfinished transactions stay undecided (prepared) or are skipped (lost).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', conf => "max_prepared_transactions = 10\n");
my $reader = session($node);
my (%seen, $cursor);    # id => "epoch data", as a reader got it

# Reads after the cursor, as a reader does, until this many more chunks have arrived.
sub follow
{
	my ($wanted) = @_;
	my $goal = keys(%seen) + $wanted;
	eventually(
		sub {
			my $page = $reader->run("SELECT chunk_id, epoch, convert_from(data, 'UTF8') FROM stream_read_since('s', $cursor)");
			for (split /\n/, $page)
			{
				my ($id, $epoch, $data) = split /\|/;
				die "chunk $id after cursor $cursor" if $id <= $cursor;
				$seen{ $cursor = $id } = "$epoch $data";
			}
			return keys(%seen) >= $goal;
		}) or die 'no chunks';
	return;
}

# Every chunk that was read must still be there, unchanged. The next id must be above all ids read so far.
sub nothing_changed
{
	my ($what) = @_;
	my $rows = $reader->run("SELECT chunk_id, epoch, convert_from(data, 'UTF8') FROM stream_read_since('s', 0, max_chunks => 1000000, max_bytes => null)");
	my %now = map { my ($id, $epoch, $data) = split /\|/; ($id => "$epoch $data") } split /\n/, $rows;
	my @wrong = grep { ($now{$_} // 'gone') ne $seen{$_} } sort { $a <=> $b } keys %seen;
	is("@wrong", '', "$what: every chunk that was read is still there, unchanged");
	my $id = $reader->run("SELECT stream_append('s', 'after')");
	cmp_ok($id, '>', (sort { $b <=> $a } keys %now)[0], "$what: the next id is above every readable one");
	my ($new) = $reader->run("SELECT epoch FROM stream_read_since('s', $id - 1)") =~ /(-?\d+)/;
	ok(!(grep { /^$new / } values %seen), "$what: chunks of this run have an epoch of their own");
	is($reader->run("SELECT stream_verify('s', $cursor, " . ($seen{$cursor} =~ s/ .*//r) . ')'), 't', "$what: the reader's cursor is valid");
	is($reader->run("SELECT count(*) = count(DISTINCT data) FROM stream_chunk WHERE data <> 'after'"), 't', "$what: no chunk is stored twice");
	return;
}

# Appends one chunk after the other; every seventh is rolled back, some appends are batches.
sub writers
{
	return map {
		session($node)->start("DO \$\$ BEGIN FOR i IN 1..10000000 LOOP
			IF i % 3 = 0 THEN PERFORM stream_append_many('s', ARRAY[convert_to('$_ ' || i || ' a', 'UTF8'), convert_to('$_ ' || i || ' b', 'UTF8')]);
			ELSE PERFORM stream_append('s', convert_to('$_ ' || i, 'UTF8')); END IF;
			IF i % 7 = 0 THEN ROLLBACK; ELSE COMMIT; END IF; END LOOP; END \$\$")
	} @_;
}

# kill -9 of a backend: the postmaster survives, ends all other sessions, and reinitialises shared memory.
sub crash
{
	my ($victim, @others) = @_;
	kill 'KILL', $victim->pid;
	ok(eventually(sub { $reader->query('SELECT 1'); $reader->error ne '' }), 'kill -9 of one backend ends the others');
	$_->quit for $victim, $reader, @others;
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
	$reader = session($node);
	return;
}

$reader->run("SELECT stream_append('s', 'first')");
$cursor = 0;
my @writers = writers('A', 'B', 'C');
follow(300);
$node->stop('immediate');
$_->finish, $_->quit for @writers, $reader;
$node->start;
$reader = session($node);
nothing_changed('immediate shutdown');
follow(1);

@writers = writers('D', 'E', 'F');
follow(300);
crash(@writers);
nothing_changed('kill -9 of a backend');
follow(1);

# A crash in the middle of a transaction: its id stays a gap, later ids stay.
my $lost = session($node);
my ($gap) = $lost->run("BEGIN; SELECT stream_append('gap', 'lost')") =~ /(\d+)/;
is($gap, '1', 'an append is not committed');
my $other = session($node);
$other->run("SELECT stream_append('kept', 'x')");
crash($lost, $other);
is($reader->run("SELECT count(*) FROM stream WHERE name = 'gap'"), '0', 'a stream whose creator was killed does not exist');
is(chunks($reader, 'kept'), '1:x', 'a stream created at the same time does');
$lost = session($node);
$lost->run("BEGIN; SELECT stream_append('kept', 'lost')");
is($reader->run("SELECT stream_append('kept', 'y')"), '3', 'a chunk after an uncommitted append');
is(chunks($reader, 'kept'), '1:x', 'is held back');
crash($lost);
is(chunks($reader, 'kept'), '1:x 3:y', 'a crash of the writer releases it');
is($reader->run("SELECT stream_append('kept', 'z')"), '4', 'and the gap stays');

# Prepared transactions

$reader->run("SELECT stream_append('p', 'one')");
$other = session($node);
$other->run("BEGIN; SELECT stream_append('p', 'prepared'); PREPARE TRANSACTION 'a'");
$other->run("BEGIN; SELECT stream_append('p', 'given up'); PREPARE TRANSACTION 'b'");
$reader->run("SELECT stream_append('p', 'four')");
is(chunks($reader, 'p'), '1:one', 'a prepared transaction holds back the prefix');
$other->run("BEGIN; SELECT stream_close('closing'); PREPARE TRANSACTION 'c'");
# The newest row of its stream: after a restart only the index has its id.
$other->run("BEGIN; SELECT stream_append('tail', 'one'); PREPARE TRANSACTION 'd'");
$other->run("COMMIT PREPARED 'd'; BEGIN; SELECT stream_append('tail', 'prepared'); PREPARE TRANSACTION 'e'");
$_->quit for $other, $reader;
for my $mode ('immediate', 'fast')
{
	$node->stop($mode);
	$node->start;
	$reader = session($node);
	is(chunks($reader, 'p'), '1:one', "it still does after a restart ($mode)");
	is($reader->run("SELECT stream_head('p')"), '1', 'and the head is below it');
	my $id = $mode eq 'fast' ? 6 : 5;
	is($reader->run("SELECT stream_append('p', 'more')"), $id, 'ids continue above the prepared ones');
	is($reader->run("SELECT stream_append('tail', 'more')"), $id - 2, 'even above one at the end of its stream');
	$reader->quit;
}
$reader = session($node);
my $waiter = session($node);
my $control = session($node);
$waiter->start("SELECT stream_wait('p', 1, '1 hour')");
ok(asleep($control, $waiter), 'a session waits');
$reader->run("COMMIT PREPARED 'a'");
is($waiter->finish, '2', 'COMMIT PREPARED ends its wait');
is(chunks($reader, 'p'), '1:one 2:prepared', 'and its chunk is readable, up to the next prepared one');
$waiter->start("SELECT stream_wait('p', 2, '1 hour')");
ok(asleep($control, $waiter), 'a session waits');
$reader->run("ROLLBACK PREPARED 'b'");
is($waiter->finish, '6', 'ROLLBACK PREPARED ends its wait');
is(chunks($reader, 'p'), '1:one 2:prepared 4:four 5:more 6:more', 'and the chunks after it are readable');

$reader->run("COMMIT PREPARED 'e'");
is(chunks($reader, 'tail'), '1:one 2:prepared 3:more 4:more', 'and the chunk prepared at the end of a stream is in its place');

# A stream created and closed by a prepared transaction is waited for (I5).
$other = session($node);
$other->start("SELECT stream_append('closing', 'x')");
ok(until_true($control, "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = " . $other->pid),
	'an append waits for the prepared transaction that closed its stream');
$reader->run("COMMIT PREPARED 'c'");
$other->finish;
like($other->error, qr/ERROR:  RL001/, 'and fails when that commits');
$_->quit for $other, $reader, $waiter, $control;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|could not open|corrupt/, 'the log shows no sign of damage');
$node->stop;
done_testing();
