// throttle: holds requests back so that a group of disks keeps within limits.
//
//   --object throttle-group,id=g,x-bps-total=1000000   driver=throttle,throttle-group=g,file=...
#include "block/throttle.hpp"
#include "block/driver.hpp"

namespace mimic::block {

extern const Driver throttle_driver;

namespace {

class ThrottleNode final : public Node {
public:
    ThrottleNode(Context& context, NodeOptions options, std::shared_ptr<ThrottleGroup> group)
        : Node(context, throttle_driver, std::move(options))
        , member_(std::move(group)) {}

    u64 size() const override { return file()->size(); }
    bool has_zero_init() const override { return file()->has_zero_init(); }
    bool supports_compressed() const override { return file()->supports_compressed(); }
    void hurry(bool on) override { member_.hurry(on); }

protected:
    bool grows() const override { return true; }
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        co_await member_.admit(false, memory.length());
        co_return co_await file()->read(offset, memory);
    }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        co_await member_.admit(true, memory.length());
        co_return co_await file()->write(offset, memory);
    }
    Task<Result<void>> do_write_compressed(u64 offset, const IoVec& memory) override {
        co_await member_.admit(true, memory.length());
        co_return co_await file()->write_compressed(offset, memory);
    }
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override {
        co_await member_.admit(true, length);
        co_return co_await file()->write_zeroes(offset, length, flags);
    }
    Task<Result<void>> do_discard(u64 offset, u64 length) override {
        co_await member_.admit(true, length);
        co_return co_await file()->discard(offset, length);
    }
    Task<Result<void>> do_flush() override { return file()->flush(); }
    Task<Result<Extent>> do_status(u64 offset, u64 length) override { return file()->status(offset, length); }
    Task<Result<void>> do_truncate(u64 size, Prealloc prealloc) override { return file()->truncate(size, prealloc); }

private:
    ThrottleMember member_;
};

Task<Result<NodePtr>> open_throttle(Context& context, OpenArguments& a) {
    std::optional<std::string> name;
    OptionReader reader(a.options, "Block driver 'throttle'");
    reader.string("throttle-group", name, "");
    CO_CHECK(reader.finish());
    if (!name) co_return Error::invalid_argument("Please specify a throttle group (throttle-group=ID)");
    auto at = context.throttle_groups.find(*name);
    if (at == context.throttle_groups.end()) co_return Error::not_found("Throttle group '{}' does not exist", *name);
    u8 perms = perm::consistent_read;
    if (!a.common.read_only) perms |= perm::write | perm::resize;
    auto node = std::make_shared<ThrottleNode>(context, a.common, at->second);
    node->set_filename(a.file->filename());
    CO_CHECK(node->add_child(a.file, "file", perms, perm::consistent_read | perm::write_unchanged));
    co_return NodePtr(node);
}

} // namespace

MIMIC_BLOCK_DRIVER(throttle) = {.name = "throttle", .is_filter = true, .open = open_throttle};

} // namespace mimic::block
