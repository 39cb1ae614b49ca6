// See utility_hook.hpp.
// Statements: PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED (two_phase.hpp), UNLISTEN, DISCARD ALL
// (listen.hpp); LOCK TABLE and similar statements on our tables (tables/table_guard.hpp); ALTER TABLE … ENABLE TRIGGER
// (tables/own_triggers.hpp). ProcessUtility() runs them in every case: simple or extended protocol, a function, DO.
// Must survive: a statement that fails (the error leaves the hook, and nothing is recorded), other hooks before and
// after this one, and a statement whose parse tree is freed while it runs.
#include "wake/utility_hook.hpp"

#include "base/postgres_api.hpp"
#include "tables/own_triggers.hpp"
#include "tables/table_guard.hpp"
#include "wake/listen.hpp"
#include "wake/two_phase.hpp"

namespace rill {

namespace {

ProcessUtility_hook_type previous_utility = nullptr;

bool is_our_unlisten(const Node *statement) {
    if (IsA(statement, DiscardStmt))
        return castNode(DiscardStmt, statement)->target == DISCARD_ALL;
    if (!IsA(statement, UnlistenStmt))
        return false;
    const char *channel = castNode(UnlistenStmt, statement)->conditionname;  // null: all of them
    return channel == nullptr || strcmp(channel, kChannel) == 0;
}

extern "C" void rill_process_utility(PlannedStmt *statement, const char *source, bool read_only_tree,
                                     ProcessUtilityContext context, ParamListInfo parameters,
                                     QueryEnvironment *environment, DestReceiver *receiver,
                                     QueryCompletion *completion) {
    statement = check_statement(statement);
    const Oid enabled = enables_triggers_of(statement->utilityStmt);
    const bool unlistens = is_our_unlisten(statement->utilityStmt);
    uint64 ended_prepared = 0;
    if (IsA(statement->utilityStmt, TransactionStmt)) {
        const auto *transaction = castNode(TransactionStmt, statement->utilityStmt);
        if (transaction->kind == TRANS_STMT_PREPARE)
            will_prepare(prepared_key(transaction->gid));
        if (transaction->kind == TRANS_STMT_COMMIT_PREPARED || transaction->kind == TRANS_STMT_ROLLBACK_PREPARED)
            ended_prepared = prepared_key(transaction->gid);
    }
    if (previous_utility != nullptr)
        previous_utility(statement, source, read_only_tree, context, parameters, environment, receiver, completion);
    else
        standard_ProcessUtility(statement, source, read_only_tree, context, parameters, environment, receiver,
                                completion);
    if (OidIsValid(enabled))
        repair_own_triggers(enabled);
    if (unlistens)
        session_unlistened();
    prepared_ended(ended_prepared);
}

}  // namespace

void install_utility_hook() {
    previous_utility = ProcessUtility_hook;
    ProcessUtility_hook = rill_process_utility;
}

}  // namespace rill
