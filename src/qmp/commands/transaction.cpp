// transaction: several actions at one moment of the disks, all or none. QEMU QMP reference manual, "Transactions".
#include "qmp/disks.hpp"

namespace mimic::qmp {

using io::Task;

namespace {

struct ActionRow {
    std::string_view type, as_command; // whose arguments it has
    Action action;
};

Task<Result<Step>> give_up(Server&, const Arguments&) {
    co_return Error::invalid_argument("Transaction aborted using Abort action");
}

constexpr ActionRow rows[] = {
    {"abort", "", give_up},
    {"blockdev-snapshot", "blockdev-snapshot", snapshot},
    {"blockdev-snapshot-sync", "blockdev-snapshot-sync", snapshot_sync},
    {"blockdev-snapshot-internal-sync", "blockdev-snapshot-internal-sync", snapshot_internal},
    {"blockdev-backup", "blockdev-backup", backup},
    {"drive-backup", "drive-backup", drive_backup},
    {"block-dirty-bitmap-add", "block-dirty-bitmap-add", bitmap_add},
    {"block-dirty-bitmap-remove", "block-dirty-bitmap-remove", bitmap_remove},
    {"block-dirty-bitmap-clear", "block-dirty-bitmap-clear", bitmap_clear},
    {"block-dirty-bitmap-enable", "block-dirty-bitmap-enable", bitmap_enable},
    {"block-dirty-bitmap-disable", "block-dirty-bitmap-disable", bitmap_disable},
    {"block-dirty-bitmap-merge", "block-dirty-bitmap-merge", bitmap_merge},
};

Result<const ActionRow*> row_of(Server& s, const Json& action) {
    const std::string& type = *action.find("type")->string();
    for (const ActionRow& r : rows) {
        if (r.type != type) continue;
        if (!r.as_command.empty())
            TRY(s.schema().check(*action.find("data"), s.schema().arguments(*s.schema().find(r.as_command)), "data"));
        return &r;
    }
    return Error::unsupported("Action '{}' can't be part of a transaction", type);
}

// The nodes that the actions name stand still together.
std::vector<block::Node*> nodes_of(Server& s, const Json& actions) {
    std::vector<block::Node*> list;
    for (const Json& action : *actions.items())
        for (std::string_view key : {"device", "node", "node-name"})
            if (const Json* name = action.find("data")->find(key); name && name->string())
                if (auto node = s.storage().find(*name->string())) list.push_back(node->get());
    return list;
}

Task<void> take_back(Server& s, std::vector<Step>& steps) {
    for (auto at = steps.rbegin(); at != steps.rend(); ++at) {
        if (at->job) co_await at->job->discard();
        if (!at->undo) continue;
        auto lock = co_await s.storage().context().graph.lock();
        Result<void> r = co_await at->undo();
        if (!r) s.storage().context().warn(fmt::format("transaction: undoing failed: {}", r.error().message()));
    }
}

Task<Result<Json>> transaction(Server& s, const Arguments& a) {
    const Json& actions = a.value("actions");
    const Json* properties = a.all().find("properties");
    const Json* mode = properties ? properties->find("completion-mode") : nullptr;
    bool grouped = mode && mode->string() && *mode->string() == "grouped";
    std::vector<const ActionRow*> chosen;
    for (const Json& action : *actions.items()) {
        CO_TRY(const ActionRow* row, row_of(s, action));
        bool starts_job = row->type == "blockdev-backup" || row->type == "drive-backup";
        if (grouped && !starts_job && row->type != "abort" && !row->type.starts_with("block-dirty-bitmap"))
            co_return Error::invalid_argument(
                "Action '{}' does not support transaction property completion-mode = grouped", row->type);
        chosen.push_back(row);
    }
    std::vector<Step> steps;
    Result<void> result;
    std::vector<block::Node*> nodes = nodes_of(s, actions);
    block::Drained quiet = co_await block::drain(nodes);
    {
        auto lock = co_await s.storage().context().graph.lock();
        for (size_t i = 0; i < chosen.size() && result; i++) {
            Request request(*(*actions.items())[i].find("data"));
            auto step = co_await chosen[i]->action(s, request.arguments);
            if (step)
                steps.push_back(std::move(*step));
            else
                result = std::move(step).error();
        }
    }
    if (!result) {
        co_await take_back(s, steps);
        co_return std::move(result).error();
    }
    quiet.end();
    auto together = std::make_shared<block::JobTransaction>();
    for (Step& step : steps) {
        if (step.commit) step.commit();
        if (step.job && grouped) step.job->join(together);
    }
    for (Step& step : steps)
        if (step.job) step.job->start();
    co_return Json::object();
}

constexpr Command commands[] = {
    {"transaction", "actions [TransactionAction], ?properties TransactionProperties", "",
     "several actions at one moment, all or none", nullptr, false, transaction},
};

} // namespace

constinit const Family transaction_family{R"(
enum ActionCompletionMode: individual grouped
struct TransactionProperties: ?completion-mode ActionCompletionMode
struct TransactionAction: type str, data TransactionData
struct TransactionData: ...
)",
                                          commands};

} // namespace mimic::qmp
