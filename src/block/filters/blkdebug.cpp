// blkdebug: passes requests on and fails those that its rules name, for tests of error paths.
//
//   driver=blkdebug,image.filename=x,inject-error.0.iotype=write,inject-error.0.errno=28,inject-error.0.after=3
//
// A rule fails requests of its iotype (any if absent) that touch its sector (any if absent), after it has let `after` of
// them through; with once=on it fails only one.
#include "block/driver.hpp"
#include <cerrno>

namespace mimic::block {

namespace {

enum class IoType : u8 { read, write, write_zeroes, discard, flush, block_status };
constexpr std::string_view iotype_names[] = {"read", "write", "write-zeroes", "discard", "flush", "block-status"};

struct Rule {
    std::optional<u8> iotype;
    std::optional<u64> error, sector, after;
    bool once = false;
    bool spent = false;
    void describe(OptionVisitor& v) {
        v.choice("iotype", iotype_names, iotype, "Kind of request");
        v.number("errno", error, "Error number, 5 (EIO) by default");
        v.number("sector", sector, "Only requests that touch this sector of 512 bytes");
        v.number("after", after, "Requests to let through first");
        v.flag("once", once, "Fail only one request");
    }
};

class DebugNode final : public Node {
public:
    DebugNode(Context& context, NodeOptions options, std::vector<Rule> rules)
        : Node(context, blkdebug_driver, std::move(options))
        , rules_(std::move(rules)) {}

    u64 size() const override { return file()->size(); }
    bool has_zero_init() const override { return file()->has_zero_init(); }

protected:
    bool grows() const override { return true; }
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        CO_CHECK(inject(IoType::read, offset, memory.length()));
        co_return co_await file()->read(offset, memory);
    }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        CO_CHECK(inject(IoType::write, offset, memory.length()));
        co_return co_await file()->write(offset, memory);
    }
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override {
        CO_CHECK(inject(IoType::write_zeroes, offset, length));
        co_return co_await file()->write_zeroes(offset, length, flags);
    }
    Task<Result<void>> do_discard(u64 offset, u64 length) override {
        CO_CHECK(inject(IoType::discard, offset, length));
        co_return co_await file()->discard(offset, length);
    }
    Task<Result<void>> do_flush() override {
        CO_CHECK(inject(IoType::flush, 0, UINT64_MAX));
        co_return co_await file()->flush();
    }
    Task<Result<Extent>> do_status(u64 offset, u64 length) override {
        CO_CHECK(inject(IoType::block_status, offset, length));
        co_return co_await file()->status(offset, length);
    }
    Task<Result<void>> do_truncate(u64 size, Prealloc prealloc) override { return file()->truncate(size, prealloc); }

private:
    Result<void> inject(IoType type, u64 offset, u64 length) {
        for (auto& rule : rules_) {
            if (rule.spent || (rule.iotype && *rule.iotype != u8(type))) continue;
            if (rule.sector && (*rule.sector * 512 + 512 <= offset || *rule.sector * 512 >= offset + length)) continue;
            if (rule.after && *rule.after > 0) {
                --*rule.after;
                continue;
            }
            rule.spent = rule.once;
            return Error::from_errno(int(rule.error.value_or(EIO)), "{} of '{}' at {} (injected)",
                                     iotype_names[size_t(type)], file()->filename(), offset);
        }
        return {};
    }
    std::vector<Rule> rules_;
};

Task<Result<NodePtr>> open_blkdebug(Context& context, OpenArguments& a) {
    std::vector<Rule> rules;
    Json list = a.options.take("inject-error");
    if (auto* items = list.items())
        for (auto& item : *items) {
            OptionReader reader(item, "an error rule of 'blkdebug'");
            Rule rule;
            rule.describe(reader);
            CO_CHECK(reader.finish());
            rules.push_back(rule);
        }
    else if (!list.is_null())
        co_return Error::invalid_argument("inject-error of 'blkdebug' expects a list");
    OptionReader reader(a.options, "Block driver 'blkdebug'");
    CO_CHECK(reader.finish());
    u8 perms = perm::consistent_read;
    if (!a.common.read_only) perms |= perm::write | perm::resize;
    auto node = std::make_shared<DebugNode>(context, a.common, std::move(rules));
    node->set_filename(a.file->filename());
    CO_CHECK(node->add_child(a.file, "file", perms, perm::consistent_read | perm::write_unchanged));
    co_return NodePtr(node);
}

} // namespace

MIMIC_BLOCK_DRIVER(blkdebug) = {.name = "blkdebug", .is_filter = true, .open = open_blkdebug};

} // namespace mimic::block
