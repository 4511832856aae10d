#include "app/system/options.hpp"
#include "app/system/config_file.hpp"
#include "app/system/options_devices.hpp"
#include "app/system/options_host.hpp"
#include "app/system/options_log.hpp"
#include "app/system/options_memory.hpp"
#include "app/system/options_semihosting.hpp"
#include "app/system/options_time.hpp"
#include "app/system/sandbox.hpp"
#include "base/nearest.hpp"
#include "block/throttle.hpp"
#include "machines/boot/smbios.hpp"
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace mimic::app {

namespace {

using Apply = Result<void> (*)(SystemOptions& o, std::string_view value);

struct Row {
    std::string_view name, value, help; // value empty: the option has none
    Apply apply;
};

// ---- values -----------------------------------------------------------------------------------------------------------

// "kvm:tcg": the first that is there, of all options together. False: it is none of these.
Result<bool> choose_accel(SystemOptions& o, std::string_view option, std::string_view list) {
    constexpr std::string_view here[] = {"jit", "tcg", "interp", "qtest"};
    constexpr std::string_view elsewhere[] = {"kvm", "hvf", "whpx", "xen", "nvmm", "mshv"};
    while (!list.empty()) {
        std::string_view name = list.substr(0, list.find(':'));
        list.remove_prefix(std::min(list.size(), name.size() + 1));
        if (std::find(std::begin(elsewhere), std::end(elsewhere), name) != std::end(elsewhere)) {
            if (!o.accel_chosen && o.accel_missing.empty()) o.accel_missing = fmt::format("{}: '{}'", option, name);
            continue;
        }
        if (std::find(std::begin(here), std::end(here), name) == std::end(here))
            return Error::invalid_argument("{}: '{}', expected jit (tcg), interp or qtest{}", option, name,
                                           did_you_mean(name, here));
        if (std::exchange(o.accel_chosen, true)) return false;
        if (name == "tcg") name = "jit";
        o.board.accelerator = name;
        o.board.translation.accel = name == "jit" ? cpu::Accel::jit : cpu::Accel::interp;
        return true;
    }
    return false;
}

Result<void> set_machine(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::machines;
        return {};
    }
    Keys keys("-M", value, "type");
    std::string type = keys.text("type");
    if (!type.empty()) o.machine = type;
    if (keys.has("help")) {
        o.help = Help::machine;
        return {};
    }
    o.board.dump_dtb = keys.text("dumpdtb", o.board.dump_dtb);
    if (keys.has("accel")) TRY(choose_accel(o, "-M accel", keys.text("accel")));
    keys.flag("graphics", true); // no board here asks it: screens are devices
    if (keys.flag("usb", false)) return Error::unsupported("-M usb: on, expected off: there is no USB");
    constexpr std::pair<std::string_view, std::string machines::BoardOptions::*> files[] = {
        {"dtb", &machines::BoardOptions::dtb},
        {"kernel", &machines::BoardOptions::kernel},
        {"initrd", &machines::BoardOptions::initrd},
        {"append", &machines::BoardOptions::append},
        {"firmware", &machines::BoardOptions::bios}};
    for (const auto& [key, member] : files)
        if (keys.has(key)) o.board.*member = keys.text(key);
    o.memory_backend = keys.text("memory-backend", o.memory_backend);
    o.board.ram.merge = keys.flag("mem-merge", o.board.ram.merge);
    o.board.ram.dump = keys.flag("dump-guest-core", o.board.ram.dump);
    for (auto& property : keys.rest()) o.board.properties.push_back(std::move(property));
    return keys.finish();
}

Result<void> set_cpu(SystemOptions& o, std::string_view value) {
    if (asks_help(value))
        o.help = Help::cpus;
    else
        o.board.cpu = value;
    return {};
}

Result<void> set_accel(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::accels;
        return {};
    }
    Keys keys("-accel", value, "accel");
    cpu::Options& t = o.board.translation;
    if (!TRY(choose_accel(o, "-accel", keys.text("accel")))) return {}; // its properties are not ours
    constexpr std::string_view threads[] = {"multi", "single"};
    o.many_threads = keys.has("thread");
    o.board.single_thread = keys.choice("thread", threads, 0) == 1;
    o.many_threads &= !o.board.single_thread;
    t.verify = keys.flag("verify", false);
    t.one_insn = keys.flag("one-insn-per-tb", false);
    keys.flag("split-wx", true); // code is never writable where it is executed
    t.code_bytes = keys.number("tb-size", 64, 1, 1024) << 20;
    return keys.finish();
}

Result<void> set_smp(SystemOptions& o, std::string_view value) {
    Keys keys("-smp", value, "cpus");
    machines::Smp& s = o.board.smp;
    u64 cpus = keys.number("cpus", 0, 1, 1024), max = keys.number("maxcpus", 0, 1, 1024);
    u64 sockets = keys.number("sockets", 0, 1, 1024), cores = keys.number("cores", 0, 1, 1024);
    u64 threads = keys.number("threads", 0, 1, 1024), clusters = keys.number("clusters", 1, 1, 1024);
    u64 dies = keys.number("dies", 1, 1, 1024);
    TRY(keys.finish());
    u64 known = std::max<u64>(1, sockets) * dies * clusters * std::max<u64>(1, cores) * std::max<u64>(1, threads);
    if (!cpus) cpus = max ? max : known;
    if (!max) max = cpus;
    if (max < cpus) return Error::invalid_argument("-smp maxcpus: {}, expected at least the {} of cpus", max, cpus);
    // What is not said follows: cores first, as the reference's newer machine types do.
    if (!threads) threads = 1;
    if (!cores) cores = std::max<u64>(1, max / (std::max<u64>(1, sockets) * dies * clusters * threads));
    if (!sockets) sockets = std::max<u64>(1, max / (dies * clusters * cores * threads));
    if (sockets * dies * clusters * cores * threads != max)
        return Error::invalid_argument("-smp: {} sockets x {} dies x {} clusters x {} cores x {} threads are not {} "
                                       "CPUs",
                                       sockets, dies, clusters, cores, threads, max);
    s = {u32(cpus), u32(max), u32(sockets), u32(dies), u32(clusters), u32(cores), u32(threads)};
    return {};
}

Result<void> only_none(std::string_view option, std::string_view value) {
    if (value == "none") return {};
    return Error::unsupported("{}: '{}', expected none", option, value);
}

// Screens that a board does not bring are devices (-device ramfb); nobody looks at them but screendump.
Result<void> set_display(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::displays;
        return {};
    }
    o.display = value;
    return only_none("-display", value);
}

Result<void> set_vga(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::adapters;
        return {};
    }
    return only_none("-vga", value);
}

template <bool pretty>
Result<void> add_qmp(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::commands;
        return {};
    }
    o.monitors.push_back({std::string(value), {}, true, pretty});
    return {};
}

Result<void> add_mon(SystemOptions& o, std::string_view value) {
    Keys keys("-mon", value, "chardev");
    MonitorOptions m;
    m.chardev = keys.text("chardev");
    constexpr std::string_view modes[] = {"readline", "control"};
    m.control = keys.choice("mode", modes, 0) == 1;
    m.pretty = keys.flag("pretty", false);
    m.id = keys.text("id");
    TRY(keys.finish());
    for (const MonitorOptions& other : o.monitors)
        if (!m.id.empty() && other.id == m.id) return Error::exists("-mon: the id '{}' is taken", m.id);
    if (m.chardev.empty()) return Error::invalid_argument("-mon: 'chardev' is missing, expected chardev=ID");
    o.no_monitor |= !m.control;
    o.monitors.push_back(std::move(m));
    return {};
}

Result<void> set_actions(SystemOptions& o, std::string_view value) {
    using machines::Actions;
    Keys keys("-action", value);
    Actions& a = o.actions;
    a.reboot = Actions::Reboot(keys.choice("reboot", machines::reboot_actions, u32(a.reboot)));
    a.shutdown = Actions::Shutdown(keys.choice("shutdown", machines::shutdown_actions, u32(a.shutdown)));
    a.panic = Actions::Panic(keys.choice("panic", machines::panic_actions, u32(a.panic)));
    return keys.finish();
}

Result<void> set_boot(SystemOptions& o, std::string_view value) {
    Keys keys("-boot", value, "order");
    std::string order = keys.text("order"); // of drives' letters, which these boards don't have: accepted
    if (size_t bad = order.find_first_not_of("abcdefghijklmnop"); bad != std::string::npos)
        return Error::invalid_argument("-boot order: '{}', expected letters from a to p", order);
    o.board.boot_strict = keys.flag("strict", false);
    if (keys.has("menu")) o.board.boot_menu = keys.flag("menu", false);
    const u64 wait = keys.number("splash-time", 0, 0, 0xffff); // milliseconds
    if (keys.has("splash-time"))
        o.board.fw_cfg.emplace_back("etc/boot-menu-wait", std::vector<u8>{u8(wait), u8(wait >> 8)});
    return keys.finish();
}

// A file for firmware and kernels: "[name=]NAME,string=TEXT" or "file=PATH".
Result<void> add_fw_cfg(SystemOptions& o, std::string_view value) {
    Keys keys("-fw_cfg", value, "name");
    std::string name = keys.text("name"), path = keys.text("file"), text = keys.text("string");
    const bool has_text = keys.has("string");
    TRY(keys.finish());
    if (name.empty()) return Error::invalid_argument("-fw_cfg: 'name' is missing, expected name=opt/NAME");
    if (has_text != path.empty()) return Error::invalid_argument("-fw_cfg {}: expected one of string= and file=", name);
    if (!name.starts_with("opt/")) o.messages.warn(fmt::format("-fw_cfg {}: names of users begin with \"opt/\"", name));
    std::vector<u8> bytes(text.begin(), text.end());
    if (!path.empty()) {
        std::ifstream in(path, std::ios::binary);
        if (!in) return Error::from_errno(errno, "-fw_cfg {}: cannot open {}", name, path);
        bytes.assign(std::istreambuf_iterator<char>(in), {});
        if (in.bad() || std::filesystem::is_directory(path))
            return Error::invalid_argument("-fw_cfg {}: cannot read {}", name, path);
    }
    o.board.fw_cfg.emplace_back(std::move(name), std::move(bytes));
    return {};
}

Result<void> set_name(SystemOptions& o, std::string_view value) {
    Keys keys("-name", value, "guest");
    o.messages.guest = keys.text("guest");
    keys.text("process"); // accepted: a process keeps its name
    keys.flag("debug-threads", false);
    return keys.finish();
}

Result<void> set_uuid(SystemOptions& o, std::string_view value) {
    constexpr std::string_view form = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
    bool ok = value.size() == form.size();
    for (size_t i = 0; ok && i < form.size(); i++)
        ok = form[i] == '-' ? value[i] == '-' : std::isxdigit(static_cast<unsigned char>(value[i])) != 0;
    if (!ok)
        return Error::invalid_argument("-uuid: '{}', expected a form like 550e8400-e29b-41d4-a716-446655440000", value);
    o.board.uuid = value;
    return {};
}

Result<void> add_smbios(SystemOptions& o, std::string_view value) {
    Keys keys("-smbios", value);
    auto given = keys.rest();
    TRY(keys.finish());
    TRY(machines::check_smbios(given));
    o.board.smbios.push_back(std::move(given));
    return {};
}

template <std::string machines::BoardOptions::*member>
Result<void> set_board(SystemOptions& o, std::string_view value) {
    o.board.*member = value;
    return {};
}
template <std::string SystemOptions::*member>
Result<void> set_text(SystemOptions& o, std::string_view value) {
    o.*member = value;
    return {};
}
template <bool SystemOptions::*member>
Result<void> set_flag(SystemOptions& o, std::string_view) {
    o.*member = true;
    return {};
}

// Those that collect() knows.
Result<void> taken_before(SystemOptions&, std::string_view) { return {}; }

// ---- the table --------------------------------------------------------------------------------------------------------

constexpr Row rows[] = {
    {"machine", "[type=]NAME[,prop=value...]", "the board; 'help' lists them, 'NAME,help' its properties", set_machine},
    {"M", "NAME", "the same", set_machine},
    {"cpu", "MODEL", "the processors' model; 'help' lists them", set_cpu},
    {"accel", "[accel=]NAME[,thread=single|multi][,tb-size=MiB][,verify=on]",
     "how guest code runs: jit (tcg), interp; qtest: not at all", set_accel},
    {"enable-kvm", "", "the same as -accel kvm, which is not there",
     [](SystemOptions& o, std::string_view) { return set_accel(o, "kvm"); }},
    {"smp", "[cpus=]N[,cores=N][,threads=N][,sockets=N]", "number and topology of processors", set_smp},
    {"m", "[size=]MEGABYTES[,maxmem=SIZE]", "RAM; suffixes M and G", set_memory},
    {"mem-path", "PATH", "RAM lies in a file, or in one without a name in a folder (of huge pages)",
     set_text<&SystemOptions::mem_path>},
    {"mem-prealloc", "", "all of it is there from the beginning",
     [](SystemOptions& o, std::string_view) -> Result<void> {
         o.board.ram.prealloc = true;
         return {};
     }},
    {"kernel", "FILE", "a kernel: Image, uImage or ELF", set_board<&machines::BoardOptions::kernel>},
    {"initrd", "FILE", "its initial RAM disk", set_board<&machines::BoardOptions::initrd>},
    {"append", "TEXT", "its command line", set_board<&machines::BoardOptions::append>},
    {"dtb", "FILE", "a device tree in place of the board's", set_board<&machines::BoardOptions::dtb>},
    {"bios", "FILE|none", "the firmware", set_board<&machines::BoardOptions::bios>},
    {"pflash", "FILE", "the next flash bank's contents",
     [](SystemOptions& o, std::string_view v) -> Result<void> {
         DriveOptions d;
         d.file = v;
         d.format = "raw";
         d.interface = "pflash";
         o.drives.push_back(d);
         return {};
     }},
    {"L", "FOLDER", "where firmware is looked for first",
     [](SystemOptions& o, std::string_view v) -> Result<void> {
         o.board.firmware_folders.emplace_back(v);
         return {};
     }},
    {"blockdev", "DRIVER,node-name=NAME[,key=value...] or JSON",
     "a node of the block layer, for -device ...,drive=NAME",
     [](SystemOptions& o, std::string_view v) -> Result<void> {
         o.blockdevs.emplace_back(v);
         return {};
     }},
    {"snapshot", "", "writes to -drive images are forgotten at the end", set_flag<&SystemOptions::snapshot>},
    {"drive", "file=FILE[,format=raw|qcow2][,if=none|virtio|pflash][,id=ID]...", "a disk image", add_drive},
    {"hda", "FILE", "a disk image; -hdb to -hdd: more",
     [](SystemOptions& o, std::string_view v) { return add_disk(o, v, 0); }},
    {"hdb", "FILE", "the second one", [](SystemOptions& o, std::string_view v) { return add_disk(o, v, 1); }},
    {"hdc", "FILE", "the third one", [](SystemOptions& o, std::string_view v) { return add_disk(o, v, 2); }},
    {"hdd", "FILE", "the fourth one", [](SystemOptions& o, std::string_view v) { return add_disk(o, v, 3); }},
    {"cdrom", "FILE", "an image that is only read, in the third one's place",
     [](SystemOptions& o, std::string_view v) { return add_disk(o, v, 2, true); }},
    {"device", "DRIVER[,prop=value...]", "a device; 'help' lists them, 'DRIVER,help' its properties", add_device},
    {"global", "DRIVER.PROPERTY=VALUE", "a default of all devices of a type", add_global},
    {"chardev", "BACKEND,id=ID[,key=value...]", "a host character device", add_chardev},
    {"netdev", "TYPE,id=ID[,key=value...]", "a host network", add_netdev},
    {"nic", "TYPE[,model=DEVICE][,mac=ADDRESS][,key=value...]", "a host network and a card in it; none: no card",
     add_nic},
    {"net", "nic|none|TYPE[,key=value...]",
     "cards (nic[,model=DEVICE][,macaddr=ADDRESS][,netdev=ID]) and host networks in one hub; none: no card", add_net},
    {"serial", "DEV", "the next serial port: none, null, stdio, mon:stdio, pty, file:, pipe:, unix:, tcp:, chardev:ID",
     [](SystemOptions& o, std::string_view v) -> Result<void> {
         o.serials.emplace_back(v);
         return {};
     }},
    {"parallel", "none", "no parallel port",
     [](SystemOptions&, std::string_view v) { return only_none("-parallel", v); }},
    {"monitor", "DEV", "the monitor for people at a device like that of -serial; none: no monitor",
     [](SystemOptions& o, std::string_view v) -> Result<void> {
         o.no_monitor = true;
         if (v != "none") o.monitors.push_back({std::string(v), {}, false, false});
         return {};
     }},
    {"qmp", "DEV", "the monitor for programs (QMP) at a device like that of -serial; 'help' lists its commands",
     add_qmp<false>},
    {"qmp-pretty", "DEV", "the same, with a member a line", add_qmp<true>},
    {"mon", "[chardev=]ID[,mode=readline|control][,pretty=on]", "a monitor at a -chardev", add_mon},
    {"display", "none", "where screens are shown; 'help' lists what there is", set_display},
    {"vnc", "none", "no display by the network", [](SystemOptions&, std::string_view v) { return only_none("-vnc", v); }},
    {"audio", "none", "no sound", [](SystemOptions&, std::string_view v) { return only_none("-audio", v); }},
    {"audiodev", "[driver=]none,id=ID", "where sound is played", add_audiodev},
    {"vga", "none", "the board's display adapter; 'help' lists what there is", set_vga},
    {"nographic", "", "no display; the first serial port is this terminal", set_flag<&SystemOptions::nographic>},
    {"nodefaults", "", "no devices that were not asked for", set_flag<&SystemOptions::no_defaults>},
    {"no-user-config", "", "accepted: there is no such configuration",
     [](SystemOptions&, std::string_view) -> Result<void> { return {}; }},
    {"no-reboot", "", "leave instead of rebooting",
     [](SystemOptions& o, std::string_view) -> Result<void> {
         o.actions.reboot = machines::Actions::Reboot::shutdown;
         return {};
     }},
    {"no-shutdown", "", "stop instead of leaving when the guest powers off",
     [](SystemOptions& o, std::string_view) -> Result<void> {
         o.actions.shutdown = machines::Actions::Shutdown::pause;
         return {};
     }},
    {"action", "reboot=reset|shutdown,shutdown=poweroff|pause,panic=pause|shutdown|exit-failure|none",
     "what the guest's requests lead to", set_actions},
    {"boot", "[order=LETTERS][,strict=on][,menu=on][,splash-time=MS]",
     "strict: from nothing but devices with a bootindex; menu: firmware waits for a key; letters are accepted",
     set_boot},
    {"fw_cfg", "[name=]opt/NAME,string=TEXT|file=PATH", "a file for firmware and kernels", add_fw_cfg},
    {"S", "", "do not start the processors", set_flag<&SystemOptions::paused>},
    {"incoming", "URI", "load a saved machine: file:PATH, exec:COMMAND, fd:N, unix:PATH, tcp:HOST:PORT; or defer",
     set_text<&SystemOptions::incoming>},
    {"loadvm", "TAG", "go on from a snapshot that savevm made", set_text<&SystemOptions::load_snapshot>},
    {"gdb", "DEV", "waits for gdb at a device like that of -serial (tcp::1234)", set_text<&SystemOptions::debugger>},
    {"qtest", "DEV", "devices are driven from a device like that of -serial", set_text<&SystemOptions::qtest>},
    {"qtest-log", "FILE|none", "what passes there goes to a file", set_text<&SystemOptions::qtest_log>},
    {"s", "", "the same as -gdb tcp::1234",
     [](SystemOptions& o, std::string_view) -> Result<void> {
         o.debugger = "tcp::1234";
         return {};
     }},
    {"object", "TYPE,id=ID[,...]", "an object that others name; 'help' lists the types", add_object},
    {"icount", "[shift=]N|auto[,align=on|off][,sleep=on|off]",
     "guest time counts instructions, 2^N ns each; the same each time", set_icount},
    {"seed", "N", "the guest's random numbers are those of a generator that begins there", set_seed},
    {"rtc", "base=utc|localtime|DATE[,clock=host]", "the guest's wall clock", set_rtc},
    {"semihosting", "", "the same as -semihosting-config enable=on",
     [](SystemOptions& o, std::string_view) { return set_semihosting(o, "on"); }},
    {"semihosting-config", "[enable=]on|off[,chardev=ID][,userspace=on][,target=native|auto][,arg=TEXT]...",
     "programs may call the host for files, a console and their own end", set_semihosting},
    {"readconfig", "FILE", "options of a file: [SECTION \"ID\"] and lines of KEY = \"VALUE\"", taken_before},
    {"writeconfig", "FILE", "write the options to such a file; -: to standard output",
     set_text<&SystemOptions::write_config>},
    {"sandbox",
     "on|off[,obsolete=allow|deny][,elevateprivileges=allow|deny|children][,spawn=allow|deny]"
     "[,resourcecontrol=allow|deny]",
     "system calls that a machine has no use for end the process", set_sandbox},
    {"set", "GROUP.ID.KEY=VALUE", "another value for a key of an option before, by its section and id", taken_before},
    {"name", "[guest=]TEXT[,process=TEXT]", "a name for people", set_name},
    {"uuid", "UUID", "the machine's identifier", set_uuid},
    {"smbios", "type=N[,FIELD=VALUE...]|file=PATH", "what SMBIOS tables say, or a structure of them", add_smbios},
    {"no-acpi", "", "the same as -M acpi=off",
     [](SystemOptions& o, std::string_view) -> Result<void> {
         o.board.properties.emplace_back("acpi", "off");
         return {};
     }},
    {"echr", "NUMBER", "the character that consoles at a terminal take in place of C-a", set_escape},
    {"overcommit", "[mem-lock=on|off|on-fault]", "all memory stays in RAM; on-fault: once it was used", set_overcommit},
    {"msg", "timestamp=on|off[,guest-name=on|off]", "messages begin with the time (UTC), and with the name of -name",
     set_messages},
    {"daemonize", "", "leave the terminal once the machine is there", set_flag<&SystemOptions::daemonize>},
    {"pidfile", "FILE", "write the process's number to it", set_text<&SystemOptions::pid_file>},
    {"d", "ITEM,...", "write to the log; 'help' lists the items", parse_log_items},
    {"D", "FILE", "the log's file (default: standard error)", set_text<&SystemOptions::log_file>},
    {"dfilter", "RANGE,...", "log code in these ranges only: START+LENGTH, START-LENGTH, START..END",
     [](SystemOptions& o, std::string_view v) -> Result<void> {
         o.board.translation.log_ranges = TRY(cpu::log::parse_ranges(v).in("-dfilter"));
         return {};
     }},
    {"perfmap", "", "write /tmp/perf-PID.map, so that perf names translated code",
     [](SystemOptions& o, std::string_view) -> Result<void> {
         o.perf_map = true;
         return {};
     }},
    {"trace", "[[enable=]GLOB][,events=FILE][,file=FILE]",
     "write trace events, by name or as a file lists them, to the log or a file; 'help' lists them", set_trace},
    {"version", "", "print the version",
     [](SystemOptions& o, std::string_view) -> Result<void> {
         o.help = Help::version;
         return {};
     }},
    {"help", "", "print this list",
     [](SystemOptions& o, std::string_view) -> Result<void> {
         o.help = Help::options;
         return {};
     }},
    {"h", "", "the same",
     [](SystemOptions& o, std::string_view) -> Result<void> {
         o.help = Help::options;
         return {};
     }},
};

} // namespace

std::vector<std::string> option_names() {
    std::vector<std::string> names;
    for (const Row& r : rows) names.emplace_back(r.name);
    return names;
}

std::string options_help() {
    std::string out;
    for (const Row& r : rows) {
        std::string left = fmt::format("-{} {}", r.name, r.value);
        out += fmt::format("{:<24} {}{}\n", left, left.size() > 24 ? "\n                         " : "", r.help);
    }
    return out;
}

namespace {

Result<const Row*> find_row(std::string_view name, std::string_view word) {
    auto row = std::find_if(std::begin(rows), std::end(rows), [&](const Row& r) { return r.name == name; });
    if (row != std::end(rows)) return &*row;
    std::vector<std::string_view> names;
    for (const Row& r : rows) names.push_back(r.name);
    return Error::invalid_argument("option '{}' is unknown{}", word, did_you_mean(name, names));
}

// What the words and the files that they name say, in order; up to the first mistake.
Result<void> collect(std::span<const std::string_view> words, std::vector<GivenOption>& given) {
    for (size_t i = 0; i < words.size(); i++) {
        std::string_view word = words[i];
        if (!word.starts_with('-') || word == "-") {
            given.push_back({"drive", drive_of_file(word)}); // a disk image, as the reference takes it
            continue;
        }
        const Row* row = TRY(find_row(word.substr(word.starts_with("--") ? 2 : 1), word));
        std::string_view value;
        if (!row->value.empty()) {
            if (i + 1 == words.size())
                return Error::invalid_argument("option '{}' has no value, expected {}", word, row->value);
            value = words[++i];
        }
        if (row->name == "set") {
            TRY(set_key(given, value));
        } else if (row->name == "readconfig") {
            for (GivenOption& o : TRY(read_config(std::string(value)).in("-readconfig {}", value)))
                given.push_back(std::move(o));
        } else {
            given.push_back({std::string(row->name), std::string(value)});
        }
    }
    return {};
}

} // namespace

Result<void> parse_options(SystemOptions& o, std::span<const std::string_view> words) {
    std::vector<GivenOption> given;
    Result<void> collected = collect(words, given);
    // What is said of the others, too, begins as these want it; their own mistakes are told in their turn.
    for (const GivenOption& one : given)
        if (one.option == "msg" || one.option == "name")
            TRY(find_row(one.option, one.option))->apply(o, one.value).ignore();
    for (const GivenOption& one : given) {
        const Row* row = TRY(find_row(one.option, one.option));
        TRY(row->apply(o, one.value));
        if (o.help != Help::none && o.help != Help::machine) return {};
    }
    TRY(std::move(collected));
    if (!o.accel_chosen && !o.accel_missing.empty())
        return Error::unsupported("{}, expected jit (tcg), interp or qtest", o.accel_missing);
    if (!o.accel_missing.empty())
        o.messages.warn(fmt::format("{} is not there, {} is taken", o.accel_missing, o.board.accelerator));
    TRY(settle_time(o));
    TRY(settle_memory(o));
    std::erase_if(given, [](const GivenOption& one) { return one.option == "writeconfig"; });
    if (!o.write_config.empty()) TRY(save_config(o.write_config, given).in("-writeconfig {}", o.write_config));
    return {};
}

} // namespace mimic::app
