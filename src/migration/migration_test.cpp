// Saved machines: the format, what is refused and in which words, and machines that come back as they were.
#include "devices/types.hpp"
#include "migration/channel.hpp"
#include "migration/writer.hpp"
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <random>
#include <thread>
#include <unistd.h>

namespace mimic::migration {
namespace {

using Bytes = std::vector<u8>;

Sink into(Bytes& out) {
    return [&out](std::span<const u8> b) -> Result<void> {
        out.insert(out.end(), b.begin(), b.end());
        return {};
    };
}
Source from(std::span<const u8>& in) {
    return [&in](std::span<u8> out) -> Result<void> {
        if (out.size() > in.size()) return Error::corrupt("ends");
        std::copy_n(in.begin(), out.size(), out.begin());
        in = in.subspan(out.size());
        return {};
    };
}

// ---- the format -------------------------------------------------------------------------------------------------------

TEST(Stream, SectionsComeBack) {
    Bytes bytes;
    StreamWriter w(into(bytes));
    ASSERT_TRUE(w.begin());
    Bytes payload{1, 2, 3};
    ASSERT_TRUE(w.section("one", 7, payload) && w.end());
    std::span<const u8> in = bytes;
    StreamReader r(from(in));
    ASSERT_TRUE(r.begin());
    auto s = r.next();
    ASSERT_TRUE(s);
    EXPECT_EQ(s->name, "one");
    EXPECT_EQ(s->version, 7u);
    EXPECT_EQ(s->payload, payload);
    EXPECT_EQ(r.next()->name, "end");
}

TEST(Stream, TheEndIsCheckedToo) {
    Bytes bytes;
    StreamWriter w(into(bytes));
    ASSERT_TRUE(w.begin() && w.end());
    bytes[12 + 2] ^= 2; // a letter of its name
    std::span<const u8> in = bytes;
    StreamReader r(from(in));
    ASSERT_TRUE(r.begin());
    EXPECT_FALSE(r.next());
}

TEST(Stream, EachBitIsChecked) {
    Bytes bytes;
    StreamWriter w(into(bytes));
    ASSERT_TRUE(w.begin() && w.section("one", 1, Bytes{1, 2, 3}));
    for (size_t bit = 0; bit < bytes.size() * 8; bit++) {
        Bytes bad = bytes;
        bad[bit / 8] ^= u8(1 << bit % 8);
        std::span<const u8> in = bad;
        StreamReader r(from(in));
        EXPECT_FALSE(r.begin() && r.next()) << "bit " << bit;
    }
}

TEST(Stream, LengthsAreNotBelieved) {
    Bytes bytes;
    StreamWriter w(into(bytes));
    ASSERT_TRUE(w.begin() && w.section("one", 1, Bytes(9)));
    u64 huge = max_section;
    std::memcpy(bytes.data() + 12 + 2 + 3 + 4, &huge, 8);
    std::span<const u8> in = bytes;
    StreamReader r(from(in));
    ASSERT_TRUE(r.begin());
    EXPECT_FALSE(r.next()); // without 256 MiB for it
    huge++;
    std::memcpy(bytes.data() + 12 + 2 + 3 + 4, &huge, 8);
    in = bytes;
    ASSERT_TRUE(r.begin());
    auto s = r.next();
    ASSERT_FALSE(s);
    std::memcpy(bytes.data() + 12 + 2, "cpu", 3);
    in = bytes;
    ASSERT_TRUE(r.begin());
    auto cpu = r.next();
    ASSERT_FALSE(cpu);
    EXPECT_NE(cpu.error().message().find("expected at most 1048576"), std::string::npos) << cpu.error().message();
    EXPECT_NE(s.error().message().find("section 'one' has 268435457 bytes"), std::string::npos) << s.error().message();
}

// ---- where to ---------------------------------------------------------------------------------------------------------

TEST(Channel, SaysWhatIsWrongWithAUri) {
    for (auto [uri, words] : {std::pair("flie:x", "expected file:PATH, exec:COMMAND"),
                              {"file:", "nothing stands behind the colon"},
                              {"tcp:localhost", "expected tcp:HOST:PORT"},
                              {"fd:77777", "expected the number of an open file"},
                              {"file:x,offset=y", "expected offset=BYTES"}}) {
        auto c = Channel::make(uri, Channel::Direction::out);
        ASSERT_FALSE(c) << uri;
        EXPECT_NE(c.error().message().find(words), std::string::npos) << c.error().message();
    }
}

struct Place {
    std::string path = fmt::format("/tmp/mimic-migration-{}", getpid());
    ~Place() { unlink(path.c_str()); }
};

TEST(Channel, CarriesBytesByEachKind) {
    Place place;
    Bytes sent(300000);
    std::mt19937 random(1);
    for (u8& b : sent) b = u8(random());
    auto carry = [&](const std::string& out_uri, const std::string& in_uri, bool together) {
        Bytes got(sent.size());
        auto in = *Channel::make(in_uri, Channel::Direction::in);
        auto out = *Channel::make(out_uri, Channel::Direction::out);
        auto receive = [&] {
            auto ok = in->open();
            ASSERT_TRUE(ok) << ok.error().message();
            ASSERT_TRUE(in->read(got));
            EXPECT_FALSE(in->read(std::span(got).first(1))) << "there is no more";
        };
        std::thread receiver;
        if (together) receiver = std::thread(receive);
        Result<void> opened = out->open();
        while (!opened && together) opened = out->open(); // until it listens
        ASSERT_TRUE(opened) << opened.error().message();
        ASSERT_TRUE(out->write(sent));
        ASSERT_TRUE(out->close());
        together ? receiver.join() : receive();
        EXPECT_EQ(got, sent) << out_uri;
    };
    carry("file:" + place.path, "file:" + place.path, false);
    carry("file:" + place.path + ",offset=100", "file:" + place.path + ",offset=100", false);
    carry("exec:cat > " + place.path, "exec:cat " + place.path, false);
    carry("unix:" + place.path, "unix:" + place.path, true);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    carry(fmt::format("fd:{}", ends[1]), fmt::format("fd:{}", ends[0]), true);
}

TEST(Channel, AProgramThatFailsIsAnError) {
    auto c = *Channel::make("exec:cat >/dev/null; exit 3", Channel::Direction::out);
    ASSERT_TRUE(c->open() && c->write(Bytes(10)));
    auto closed = c->close();
    ASSERT_FALSE(closed);
    EXPECT_NE(closed.error().message().find("ended with status 3"), std::string::npos) << closed.error().message();
}

TEST(Channel, CancelEndsWhatWaits) {
    auto c = *Channel::make("tcp:127.0.0.1:0", Channel::Direction::in);
    std::thread t([&] { EXPECT_FALSE(c->open()); });
    c->cancel();
    t.join();
}

// ---- machines ---------------------------------------------------------------------------------------------------------

// A board of two processors that never run.
std::unique_ptr<machines::Board> make_board(std::string_view guest, u64 ram = 1 << 20, u32 cpus = 2) {
    const machines::BoardType* type = *machines::find_board(guest, "virt");
    machines::BoardOptions o;
    o.type_name = type->name;
    o.ram_bytes = ram;
    o.accelerator = "qtest";
    o.machine.manual_clock = true;
    o.machine.random_seed = 1;
    o.machine.types = devices::types();
    o.smp.cpus = cpus;
    auto board = type->make(o);
    auto built = board->build();
    EXPECT_TRUE(built) << built.error().message();
    EXPECT_TRUE(board->reset(devices::ResetKind::power_on));
    return board;
}
Bytes save(machines::Board& board) {
    Bytes bytes;
    Progress progress;
    EXPECT_TRUE(write_state(save_state(board, true), board, into(bytes), progress));
    return bytes;
}
Result<bool> load(machines::Board& board, std::span<const u8> bytes) {
    Progress progress;
    Loading l(board);
    TRY(l.read(from(bytes), progress));
    return l.finish();
}

class EveryGuest : public testing::TestWithParam<std::string> {};

TEST_P(EveryGuest, ComesBackAsItWas) {
    auto a = make_board(GetParam()), b = make_board(GetParam());
    std::mt19937_64 random(7);
    memory::RamBlock& ram = *a->ram_blocks()[0];
    for (int i = 0; i < 20; i++) ram.host()[random() % ram.size()] = u8(random());
    b->ram_blocks()[0]->host()[4097] = 1; // of another time
    for (const auto& vcpu : a->vcpus()) {
        vcpu->set_pc(0x1000 + vcpu->index() * 16);
        for (u32 n = 0; n < 30; n++) {
            u64 value = random();
            vcpu->guest().write_register(vcpu->header(), n, reinterpret_cast<const u8*>(&value));
        }
    }
    a->vcpus()[1]->set_powered(false);
    a->machine().advance(123456789);
    ASSERT_TRUE(load(*a, save(*a))); // devices hear of lines that never changed
    Bytes saved = save(*a);
    auto ran = load(*b, saved);
    ASSERT_TRUE(ran) << ran.error().message();
    EXPECT_TRUE(*ran);
    EXPECT_EQ(b->machine().now(), 123456789u);
    EXPECT_EQ(b->vcpus()[1]->header().pc, 0x1010u);
    EXPECT_FALSE(b->vcpus()[1]->powered());
    EXPECT_EQ(std::memcmp(b->ram_blocks()[0]->host(), ram.host(), ram.size()), 0);
    std::span<const u8> one = saved, again_bytes;
    Bytes again = save(*b);
    again_bytes = again;
    StreamReader first(from(one)), second(from(again_bytes));
    ASSERT_TRUE(first.begin() && second.begin());
    for (std::string name; name != "end";) {
        auto x = first.next(), y = second.next();
        ASSERT_TRUE(x && y);
        name = x->name;
        auto differs = std::mismatch(x->payload.begin(), x->payload.end(), y->payload.begin(), y->payload.end()).first;
        u64 at = u64(differs - x->payload.begin());
        EXPECT_EQ(x->payload, y->payload) << name << " from byte " << at << ", behind "
                                          << std::string(x->payload.begin() + i64(at > 40 ? at - 40 : 0), differs);
    }
}

// Passes: what is written behind one goes with the next, also where it becomes zero.
TEST_P(EveryGuest, LaterPassesHaveWhatWasWrittenSince) {
    auto a = make_board(GetParam()), b = make_board(GetParam());
    memory::RamBlock& ram = *a->ram_blocks()[0];
    auto write = [&](u64 at, u8 value) {
        ram.host()[at] = value;
        ram.note_write(at, 1);
    };
    write(0x2000, 1), write(0x3000, 1);
    Bytes bytes;
    Progress progress;
    {
        StateWriter w(*a, into(bytes), progress);
        ASSERT_TRUE(w.begin() && w.pass());
        EXPECT_EQ(w.left(), 0u);
        write(0x3fff, 2), write(0x2000, 0), write(0x5000, 3);
        EXPECT_EQ(w.left(), 3 * memory::RamBlock::page_size);
        ASSERT_TRUE(w.pass());
        EXPECT_EQ(w.left(), 0u);
        ASSERT_TRUE(w.end(save_state(*a, false), true));
        EXPECT_EQ(progress.passes, 2u);
    }
    EXPECT_TRUE(ram.writes_are_free(0x6000)) << "nobody looks at what is dirty any more";
    Loading l(*b);
    std::span<const u8> in = bytes;
    ASSERT_TRUE(l.read(from(in), progress));
    EXPECT_TRUE(l.answer());
    EXPECT_FALSE(*l.finish());
    EXPECT_EQ(std::memcmp(b->ram_blocks()[0]->host(), ram.host(), ram.size()), 0);
}

TEST_P(EveryGuest, RefusesAnotherMachinesState) {
    Bytes saved = save(*make_board(GetParam()));
    auto larger = make_board(GetParam(), 2 << 20);
    auto one = load(*larger, saved);
    ASSERT_FALSE(one);
    EXPECT_NE(one.error().message().find("it was saved with ram ["), std::string::npos) << one.error().message();
    auto fewer = make_board(GetParam(), 1 << 20, 1);
    auto two = load(*fewer, saved);
    ASSERT_FALSE(two);
    EXPECT_NE(two.error().message().find("it was saved with cpus 2, but this machine has 1"), std::string::npos)
        << two.error().message();
}

TEST_P(EveryGuest, TornStatesAreRefused) {
    Bytes saved = save(*make_board(GetParam()));
    auto b = make_board(GetParam());
    std::mt19937_64 random(3);
    for (int i = 0; i < 40; i++) {
        std::span<const u8> part = std::span(saved).first(random() % saved.size());
        EXPECT_FALSE(load(*b, part));
    }
}

// Names of registers are what a state is made of: one that is missing is named.
TEST_P(EveryGuest, NamesTheRegisterThatIsMissing) {
    auto a = make_board(GetParam());
    Saved s = save_state(*a, true);
    std::string_view name = a->vcpus()[0]->guest().registers()[5].name;
    auto at = std::search(s.cpus[0].begin(), s.cpus[0].end(), name.begin(), name.end());
    ASSERT_NE(at, s.cpus[0].end());
    *at = '?';
    Bytes bytes;
    Progress progress;
    ASSERT_TRUE(write_state(s, *a, into(bytes), progress));
    auto done = load(*a, bytes);
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().message().find(fmt::format("register '{}' of", name)), std::string::npos)
        << done.error().message();
}

// What a hostile state makes us write is bounded by its blocks.
TEST_P(EveryGuest, RunsAreShortAndInOrder) {
    auto b = make_board(GetParam(), 4 << 20);
    auto load_runs = [&](std::initializer_list<std::pair<u64, u32>> runs) {
        Bytes bytes;
        StreamWriter w(into(bytes));
        std::string machine = describe_machine(*b).dump();
        Payload p;
        p.text(b->ram_blocks()[0]->name());
        for (auto [offset, length] : runs) p.number(offset), p.number(length);
        EXPECT_TRUE(w.begin() &&
                    w.section("machine", 1, {reinterpret_cast<const u8*>(machine.data()), machine.size()}));
        EXPECT_TRUE(w.section("zero", 1, p.out) && w.end());
        auto done = load(*b, bytes);
        return done ? std::string() : done.error().message();
    };
    EXPECT_NE(load_runs({{0, 4096}, {8192, 1 << 20}}).find("no section 'moment'"), std::string::npos);
    EXPECT_NE(load_runs({{0, 2 << 20}}).find("has a run [0x0, 0x200000)"), std::string::npos);
    EXPECT_NE(load_runs({{0, 8192}, {4096, 8192}}).find("from 0x2000 on"), std::string::npos);
    EXPECT_NE(load_runs({{0, 0}}).find("has a run"), std::string::npos);
}

TEST_P(EveryGuest, LoadingCanBeCancelled) {
    auto b = make_board(GetParam());
    Bytes saved = save(*b);
    Loading l(*b);
    l.cancel();
    Progress progress;
    std::span<const u8> in = saved;
    auto read = l.read(from(in), progress);
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().message().find("cancelled"), std::string::npos) << read.error().message();
}

std::vector<std::string> guests_with_machines() {
    std::vector<std::string> names;
    for (const machines::BoardType* b : machines::boards()) {
        if (b->guest.empty()) continue;
        if (std::find(names.begin(), names.end(), b->guest) == names.end()) names.emplace_back(b->guest);
    }
    return names;
}
INSTANTIATE_TEST_SUITE_P(All, EveryGuest, testing::ValuesIn(guests_with_machines()),
                         [](const auto& one) { return one.param; });

} // namespace
} // namespace mimic::migration
