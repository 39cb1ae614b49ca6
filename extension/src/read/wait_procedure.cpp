// See wait_procedure.hpp.
#include "read/wait_procedure.hpp"

namespace rill {

namespace {

// Ends the running transaction and begins one that holds nothing yet.
void commit_and_begin() {
    if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect failed");
    SPI_commit();
    SPI_finish();
}

}  // namespace

void restart_transaction() {
    commit_and_begin();
    // Each lookup needs a snapshot of its own. Nothing else runs in this transaction.
    XactIsoLevel = XACT_READ_COMMITTED;
}

void end_wait_procedure() { commit_and_begin(); }

void begin_wait_procedure(FunctionCallInfo fcinfo, const char *procedure, const char *function) {
    const auto *call = fcinfo->context != nullptr && IsA(fcinfo->context, CallContext)
                           ? castNode(CallContext, fcinfo->context)
                           : nullptr;
    if (call == nullptr || call->atomic || TransactionIdIsValid(GetTopTransactionIdIfAny()))
        ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                        errmsg("%s() cannot wait inside a transaction block", procedure),
                        function != nullptr ? errhint("Call it outside a transaction block, or use the function %s(), "
                                                      "which holds the transaction while it waits.",
                                                      function)
                                            : errhint("Call it outside a transaction block.")));
    restart_transaction();
}

}  // namespace rill
