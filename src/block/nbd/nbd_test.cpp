#include "base/io/scope.hpp"
#include "block/driver.hpp"
#include "block/nbd/address.hpp"
#include "block/nbd/client.hpp"
#include "block/nbd/pipe.hpp"
#include "block/nbd/server.hpp"
#include "block/protocols/memory.hpp"
#include <gtest/gtest.h>

namespace mimic::block::nbd {
namespace {

TEST(NbdLocation, ReadsEveryForm) {
    auto l = parse_location("nbd://host:1234/a%20b");
    ASSERT_TRUE(l);
    EXPECT_EQ(l->address.host, "host");
    EXPECT_EQ(l->address.port, "1234");
    EXPECT_EQ(l->export_name, "a b");
    l = parse_location("nbd://[::1]/");
    ASSERT_TRUE(l);
    EXPECT_EQ(l->address.host, "::1");
    EXPECT_EQ(l->address.port, "10809");
    EXPECT_EQ(l->export_name, "");
    l = parse_location("nbd+unix:///x/y?socket=/tmp/a%2fb");
    ASSERT_TRUE(l);
    EXPECT_EQ(l->address.path, "/tmp/a/b");
    EXPECT_EQ(l->export_name, "x/y");
    l = parse_location("nbd:unix:/tmp/s:exportname=e:f");
    ASSERT_TRUE(l);
    EXPECT_EQ(l->address.path, "/tmp/s");
    EXPECT_EQ(l->export_name, "e:f");
    l = parse_location("nbd:localhost:99");
    ASSERT_TRUE(l);
    EXPECT_EQ(l->address.port, "99");
    for (auto secure : {"nbds://h/e", "nbds+tcp://h/e", "nbds+unix:///e?socket=/s"}) {
        l = parse_location(secure);
        ASSERT_TRUE(l) << secure;
        EXPECT_TRUE(l->needs_tls && l->export_name == "e");
    }
    EXPECT_FALSE(parse_location("nbd://h/")->needs_tls);
    for (auto bad : {"", "nbd:", "nbd:unix:", "nbd:host", "nbd:host:port", "nbd+unix:///", "nbd+unix:///?socket=",
                     "nbd://h/%z1", "nbd://h/%00", "nbd+unix://h/?socket=/s", "nbd://h/?x=1", "http://h/"})
        EXPECT_FALSE(parse_location(bad)) << bad;
}

class NbdTest : public testing::Test {
protected:
    std::unique_ptr<io::Loop> loop = std::move(*io::Loop::create());
    Context context{.loop = *loop};
    std::shared_ptr<MemoryImage> image = std::make_shared<MemoryImage>();
    NodePtr node;
    Server server{*loop};
    std::vector<std::string> log;

    void SetUp() override {
        image->size = 1u << 20;
        node = make_memory_node(context, image);
        server.log = [this](const std::string& text) { log.push_back(text); };
    }

    // Serves one end of a pipe while `f` works with a connection to the other.
    template <class F>
    Result<void> with_client(Wanted wanted, F f) {
        return loop->run(both(std::move(wanted), std::move(f)));
    }
    template <class F>
    Task<Result<void>> both(Wanted wanted, F f) {
        auto [ours, theirs] = make_pipe(*loop);
        io::Scope scope(*loop);
        scope.spawn(serve(std::move(theirs)));
        auto c = co_await Connection::open(*loop, std::move(ours), std::move(wanted));
        Result<void> r;
        if (c) {
            r = co_await f(**c);
            co_await (*c)->close();
        } else {
            r = c.error();
        }
        auto joined = co_await scope.join();
        co_return r ? joined : r;
    }
    Task<Result<void>> serve(std::unique_ptr<Transport> transport) {
        co_await server.serve(std::move(transport));
        co_return Result<void>();
    }
    void export_it(bool writable = true) {
        ASSERT_TRUE(server.add({.name = "disk",
                                .description = "a disk",
                                .disk = *Root::attach(node, "export", 0, perm::all),
                                .writable = writable,
                                .allocation_depth = true}));
    }
};

TEST_F(NbdTest, ReadsWhatItWrote) {
    export_it();
    auto r = with_client(Wanted("disk"), [&](Connection& c) -> Task<Result<void>> {
        EXPECT_EQ(c.description().size, 1u << 20);
        EXPECT_EQ(c.description().text, "a disk");
        EXPECT_TRUE(c.has_block_status());
        std::vector<u8> out(200'000, 7), in(200'000), all(1u << 20, 1);
        IoVec from{std::span<u8>(out)}, to{std::span<u8>(in)}, whole{std::span<u8>(all)};
        CO_CHECK(co_await c.perform({.command = cmd_write, .offset = 65536, .length = 200'000, .memory = &from}));
        CO_CHECK(co_await c.perform({.command = cmd_read, .offset = 65536, .length = 200'000, .memory = &to}));
        EXPECT_EQ(in, out);
        // Holes and data in one reply.
        CO_CHECK(co_await c.perform({.command = cmd_read, .offset = 0, .length = 1u << 20, .memory = &whole}));
        EXPECT_TRUE(io::is_zero(all.data(), 65536));
        EXPECT_EQ(std::memcmp(all.data() + 65536, out.data(), out.size()), 0);
        EXPECT_TRUE(io::is_zero(all.data() + 65536 + 200'000, all.size() - 65536 - 200'000));
        CO_CHECK(
            co_await c.perform({.command = cmd_write_zeroes, .flags = cmd_flag_fua, .offset = 65536, .length = 1000}));
        CO_CHECK(co_await c.perform({.command = cmd_trim, .offset = 131072, .length = 65536}));
        CO_CHECK(co_await c.perform({.command = cmd_flush}));
        CO_CHECK(co_await c.perform({.command = cmd_cache, .offset = 0, .length = 1u << 20}));
        CO_CHECK(co_await c.perform({.command = cmd_read, .offset = 65536, .length = 200'000, .memory = &to}));
        EXPECT_TRUE(io::is_zero(in.data(), 1000));
        EXPECT_EQ(in[1000], 7);
        co_return Result<void>();
    });
    EXPECT_TRUE(r) << r.error().message();
    EXPECT_TRUE(log.empty()) << log[0];
}

TEST_F(NbdTest, TellsWhereDataIs) {
    export_it();
    std::vector<u8> bytes(65536, 1);
    image->write(131072, IoVec(std::span<u8>(bytes)));
    auto r = with_client(Wanted("disk"), [&](Connection& c) -> Task<Result<void>> {
        std::vector<BlockState> states;
        CO_CHECK(co_await c.perform({.command = cmd_block_status, .offset = 0, .length = 1u << 20, .states = &states}));
        if (states.size() != 3) co_return Error::io("{} states, expected 3", states.size());
        EXPECT_EQ(states[0].length, 131072u);
        EXPECT_TRUE(states[0].flags & state_zero);
        EXPECT_EQ(states[1].length, 65536u);
        EXPECT_EQ(states[1].flags, 0u);
        states.clear();
        CO_CHECK(co_await c.perform({.command = cmd_block_status,
                                     .flags = cmd_flag_req_one,
                                     .offset = 0,
                                     .length = 1u << 20,
                                     .states = &states}));
        EXPECT_EQ(states.size(), 1u);
        co_return Result<void>();
    });
    EXPECT_TRUE(r) << r.error().message();
}

TEST_F(NbdTest, RefusesWhatIsNotAllowed) {
    export_it(false);
    auto r = with_client(Wanted("disk"), [&](Connection& c) -> Task<Result<void>> {
        EXPECT_TRUE(c.description().flags & flag_read_only);
        std::vector<u8> bytes(512);
        IoVec memory{std::span<u8>(bytes)};
        auto number = [](const Result<void>& x) { return x ? 0 : x.error().host_errno(); };
        EXPECT_EQ(number(co_await c.perform({.command = cmd_write, .offset = 0, .length = 512, .memory = &memory})),
                  EPERM);
        EXPECT_EQ(number(co_await c.perform({.command = cmd_trim, .offset = 0, .length = 512})), EPERM);
        EXPECT_EQ(
            number(co_await c.perform({.command = cmd_read, .offset = 1u << 20, .length = 512, .memory = &memory})),
            EINVAL);
        EXPECT_EQ(
            number(co_await c.perform({.command = cmd_read, .offset = UINT64_MAX, .length = 512, .memory = &memory})),
            EINVAL);
        EXPECT_EQ(number(co_await c.perform({.command = cmd_flush, .flags = 1u << 15})), EINVAL);
        EXPECT_EQ(number(co_await c.perform({.command = 99})), EINVAL);
        // And goes on.
        CO_CHECK(co_await c.perform({.command = cmd_read, .offset = 0, .length = 512, .memory = &memory}));
        co_return Result<void>();
    });
    EXPECT_TRUE(r) << r.error().message();
    auto none = with_client(Wanted("other"), [](Connection&) -> Task<Result<void>> { co_return Result<void>(); });
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().message().find("'other'"), std::string::npos);
}

TEST_F(NbdTest, ErrorsOfTheNodeAreTheRequests) {
    OpenArguments a;
    a.file = node;
    auto rules = Json::parse(R"({"inject-error": [{"iotype": "read", "errno": 28, "sector": 0}]})");
    a.options = *rules;
    auto debug = loop->run(blkdebug_driver.open(context, a));
    ASSERT_TRUE(debug);
    node = *debug;
    export_it();
    auto r = with_client(Wanted("disk"), [&](Connection& c) -> Task<Result<void>> {
        std::vector<u8> bytes(300'000);
        IoVec memory{std::span<u8>(bytes)};
        auto bad = co_await c.perform({.command = cmd_read, .offset = 0, .length = 512, .memory = &memory});
        if (bad) co_return Error::io("the injected error did not arrive");
        EXPECT_EQ(bad.error().host_errno(), ENOSPC);
        CO_CHECK(co_await c.perform({.command = cmd_read, .offset = 512, .length = 300'000, .memory = &memory}));
        co_return Result<void>();
    });
    EXPECT_TRUE(r) << r.error().message();
}

TEST_F(NbdTest, ManyRequestsAtOnce) {
    export_it();
    auto r = with_client(Wanted("disk"), [&](Connection& c) -> Task<Result<void>> {
        io::Scope scope(*loop);
        std::vector<std::vector<u8>> blocks(256, std::vector<u8>(4096));
        auto one = [](Connection& to, std::vector<u8>& block, u64 i) -> Task<Result<void>> {
            std::fill(block.begin(), block.end(), u8(i + 1));
            IoVec memory{std::span<u8>(block)};
            CO_CHECK(
                co_await to.perform({.command = cmd_write, .offset = i * 4096, .length = 4096, .memory = &memory}));
            std::fill(block.begin(), block.end(), 0);
            CO_CHECK(co_await to.perform({.command = cmd_read, .offset = i * 4096, .length = 4096, .memory = &memory}));
            co_return Result<void>();
        };
        for (u64 i = 0; i < blocks.size(); i++) scope.spawn(one(c, blocks[i], i));
        CO_CHECK(co_await scope.join());
        for (size_t i = 0; i < blocks.size(); i++) EXPECT_EQ(blocks[i], std::vector<u8>(4096, u8(i + 1)));
        co_return Result<void>();
    });
    EXPECT_TRUE(r) << r.error().message();
}

// A server that has agreed on structured replies and then says `replies`.
struct Case {
    const char* name;
    std::vector<u8> replies;
};
Packer chunk(u16 flags, u16 type, u64 cookie, u32 length) {
    return Packer().number32(structured_magic).number16(flags).number16(type).number64(cookie).number32(length);
}
std::vector<u8> agreement() {
    Packer p;
    p.number64(init_magic).number64(option_magic).number16(3);
    p.number64(reply_magic).number32(opt_structured_reply).number32(rep_ack).number32(0);
    p.number64(reply_magic)
        .number32(opt_set_meta_context)
        .number32(rep_meta_context)
        .number32(19)
        .number32(5)
        .text(base_allocation);
    p.number64(reply_magic).number32(opt_set_meta_context).number32(rep_ack).number32(0);
    p.number64(reply_magic)
        .number32(opt_go)
        .number32(rep_info)
        .number32(12)
        .number16(info_export)
        .number64(1u << 20)
        .number16(0xfff);
    p.number64(reply_magic).number32(opt_go).number32(rep_ack).number32(0);
    return p.bytes();
}

// What a hostile or broken server answers to a read of 512 bytes at 4096 (cookie 1): an error, and the connection is over.
TEST(NbdClient, EndsConnectionsThatBreakTheProtocol) {
    std::vector<u8> data(512, 1);
    std::string_view text(reinterpret_cast<char*>(data.data()), data.size());
    std::vector<Case> cases = {
        {"nothing", {}},
        {"garbage", std::vector<u8>(100, 'x')},
        {"no such request", chunk(1, chunk_none, 2, 0).bytes()},
        {"done without data", chunk(1, chunk_none, 1, 0).bytes()},
        {"none that is not done", chunk(0, chunk_none, 1, 0).bytes()},
        {"simple reply to a read", Packer().number32(simple_magic).number32(0).number64(1).text(text).bytes()},
        {"before the range", chunk(1, chunk_offset_data, 1, 520).number64(4095).text(text).bytes()},
        {"past the range", chunk(1, chunk_offset_data, 1, 521).number64(4096).text(text).zeroes(1).bytes()},
        {"far away", chunk(1, chunk_offset_data, 1, 520).number64(UINT64_MAX).text(text).bytes()},
        {"too little", chunk(1, chunk_offset_data, 1, 108).number64(4096).zeroes(100).bytes()},
        {"no data", chunk(1, chunk_offset_data, 1, 8).number64(4096).bytes()},
        {"cut", chunk(1, chunk_offset_data, 1, 520).number64(4096).zeroes(100).bytes()},
        {"twice", chunk(0, chunk_offset_data, 1, 520)
                      .number64(4096)
                      .text(text)
                      .text({reinterpret_cast<const char*>(
                                 chunk(1, chunk_offset_hole, 1, 12).number64(4100).number32(4).bytes().data()),
                             32})
                      .bytes()},
        {"empty hole", chunk(1, chunk_offset_hole, 1, 12).number64(4096).number32(0).bytes()},
        {"long hole", chunk(1, chunk_offset_hole, 1, 12).number64(4096).number32(UINT32_MAX).bytes()},
        {"huge data", chunk(1, chunk_offset_data, 1, UINT32_MAX).number64(4096).bytes()},
        {"huge error", chunk(1, chunk_error, 1, UINT32_MAX).number32(5).number16(0).bytes()},
        {"error without number", chunk(1, chunk_error, 1, 6).number32(0).number16(0).bytes()},
        {"error's text is longer", chunk(1, chunk_error, 1, 6).number32(5).number16(100).bytes()},
        {"status of a read", chunk(1, chunk_block_status, 1, 12).number32(5).number32(512).number32(0).bytes()},
        {"unknown chunk", chunk(1, 77, 1, 0).bytes()},
    };
    for (auto& c : cases) {
        auto loop = std::move(*io::Loop::create());
        std::vector<u8> script = agreement();
        script.insert(script.end(), c.replies.begin(), c.replies.end());
        auto talk = [&]() -> Task<bool> {
            auto peer = std::make_unique<ScriptedPeer>(*loop, script, 1000);
            Wanted wanted;
            auto connection = co_await Connection::open(*loop, std::move(peer), wanted);
            if (!connection) co_return false;
            std::vector<u8> bytes(512);
            IoVec memory{std::span<u8>(bytes)};
            auto r = co_await (*connection)
                         ->perform({.command = cmd_read, .offset = 4096, .length = 512, .memory = &memory});
            bool over = !r && r.error().kind() == ErrorKind::disconnected && (*connection)->broken();
            co_await (*connection)->close();
            co_return over;
        };
        EXPECT_TRUE(loop->run(talk())) << c.name;
    }
}

TEST(NbdClient, TakesAnErrorAndGoesOn) {
    auto loop = std::move(*io::Loop::create());
    std::vector<u8> script = agreement();
    for (auto& part :
         {chunk(0, chunk_offset_hole, 1, 12).number64(4096).number32(256).bytes(),
          chunk(1, chunk_error_offset, 1, 18).number32(eio).number16(4).text("oops").number64(4352).bytes(),
          chunk(1, chunk_offset_hole, 2, 12).number64(4096).number32(512).bytes()})
        script.insert(script.end(), part.begin(), part.end());
    auto talk = [&]() -> Task<Result<void>> {
        Wanted wanted;
        auto peer = std::make_unique<ScriptedPeer>(*loop, script, 1);
        CO_TRY(auto connection, co_await Connection::open(*loop, std::move(peer), wanted));
        std::vector<u8> bytes(512, 9);
        IoVec memory{std::span<u8>(bytes)};
        Operation o{.command = cmd_read, .offset = 4096, .length = 512, .memory = &memory};
        auto bad = co_await connection->perform(o);
        if (bad) co_return Error::io("the error did not arrive");
        EXPECT_NE(bad.error().message().find("oops"), std::string::npos);
        auto good = co_await connection->perform(o);
        EXPECT_TRUE(good);
        EXPECT_TRUE(memory.is_zero());
        co_await connection->close();
        co_return Result<void>();
    };
    EXPECT_TRUE(loop->run(talk()));
}

} // namespace
} // namespace mimic::block::nbd
