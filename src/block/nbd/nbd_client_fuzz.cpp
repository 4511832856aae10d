// Hostile servers: all that a server sends is the input. Its first byte is the size of the pieces; odd: the handshake is done
// already, and the input begins with replies.
#include "base/io/scope.hpp"
#include "block/nbd/client.hpp"
#include "block/nbd/pipe.hpp"

using namespace mimic;
using namespace mimic::block;
using namespace mimic::block::nbd;

namespace {

std::vector<u8> agreement() {
    auto reply = [](u32 option, u32 type, const Packer& data) {
        Packer p;
        p.number64(reply_magic).number32(option).number32(type).number32(u32(data.bytes().size()));
        p.text({reinterpret_cast<const char*>(data.bytes().data()), data.bytes().size()});
        return p.bytes();
    };
    std::vector<u8> all = Packer().number64(init_magic).number64(option_magic).number16(3).bytes();
    for (auto& part : {reply(opt_structured_reply, rep_ack, {}),
                       reply(opt_set_meta_context, rep_meta_context, Packer().number32(1).text(base_allocation)),
                       reply(opt_set_meta_context, rep_ack, {}),
                       reply(opt_go, rep_info, Packer().number16(info_export).number64(1u << 20).number16(0xfff)),
                       reply(opt_go, rep_ack, {})})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

Task<Result<void>> ask(Connection& c, Operation o) {
    Result<void> r = co_await c.perform(o);
    std::move(r).ignore();
    co_return Result<void>();
}

Task<void> talk(io::Loop& loop, std::unique_ptr<Transport> peer) {
    Wanted wanted;
    auto c = co_await Connection::open(loop, std::move(peer), wanted);
    if (!c) co_return;
    std::vector<u8> one(4096), two(100'000), three(512);
    IoVec m1{std::span<u8>(one)}, m2{std::span<u8>(two)}, m3{std::span<u8>(three)};
    std::vector<BlockState> states;
    io::Scope scope(loop);
    scope.spawn(ask(**c, {.command = cmd_read, .offset = 0, .length = 4096, .memory = &m1}));
    scope.spawn(ask(**c, {.command = cmd_read, .offset = 65536, .length = 100'000, .memory = &m2}));
    scope.spawn(ask(**c, {.command = cmd_write, .offset = 0, .length = 512, .memory = &m3}));
    if ((*c)->has_block_status())
        scope.spawn(ask(**c, {.command = cmd_block_status, .offset = 0, .length = 1u << 20, .states = &states}));
    scope.spawn(ask(**c, {.command = cmd_flush}));
    co_await scope.drain();
    co_await (*c)->close();
}

} // namespace

// One loop for all inputs: its epoll is no part of what is tested.
static io::Loop& the_loop() {
    static auto instance = std::move(*io::Loop::create({.uring = false}));
    return *instance;
}

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    if (size < 1) return 0;
    std::vector<u8> script;
    if (data[0] & 1) script = agreement();
    script.insert(script.end(), data + 1, data + size);
    the_loop().run(talk(the_loop(), std::make_unique<ScriptedPeer>(the_loop(), script, size_t(data[0]) + 1)));
    auto listed =
        the_loop().run(list(the_loop(), std::make_unique<ScriptedPeer>(the_loop(), script, size_t(data[0]) + 1)));
    static_cast<void>(listed);
    return 0;
}
