#include "app/system/config_file.hpp"
#include <gtest/gtest.h>

namespace mimic::app {
namespace {

std::string text_of(const Result<std::vector<GivenOption>>& parsed) {
    if (!parsed) return parsed.error().message();
    std::string out;
    for (const GivenOption& o : *parsed) out += fmt::format("-{} {}\n", o.option, o.value);
    return out;
}

TEST(ConfigFile, SectionsAreOptions) {
    EXPECT_EQ(text_of(parse_config("# a machine\r\n[machine]\n type = \"virt\"\n\n[ memory ]\nsize=\"512\"\n"
                                   "[drive \"d0\"]\n\tfile = \"a,b = [c] #.img\"\n  if=\"none\"\n[rtc]\n[device]\n"
                                   "driver = \"\"")),
              "-machine type=virt\n-m size=512\n-drive id=d0,file=a,,b = [c] #.img,if=none\n-rtc \n-device driver=\n");
    EXPECT_EQ(text_of(parse_config("")), "");
}

TEST(ConfigFile, MistakesAreNamedByLine) {
    constexpr std::pair<const char*, const char*> wrong[] = {
        {"\n[drvie \"d\"]", "line 2: there is no section 'drvie', did you mean 'drive'?"},
        {"[drive", "line 1: '[drive', expected [SECTION] or [SECTION \"ID\"]"},
        {"[drive d0]", "line 1: 'd0', expected an id in quotes"},
        {"[drive \"\"]", "line 1: '', expected an id in quotes"},
        {"a = \"b\"", "line 1: key 'a' comes before the first [SECTION]"},
        {"[rtc]\nbase = utc", "line 2: 'base = utc', expected KEY = \"VALUE\""},
        {"[rtc]\nbase = \"a\"b\"", "line 2: 'base = \"a\"b\"', expected KEY = \"VALUE\""},
        {"[rtc]\n= \"a\"", "line 2: '= \"a\"', expected KEY = \"VALUE\""},
        {"[rtc]\nbase \"a\"", "line 2: 'base \"a\"', expected KEY = \"VALUE\""},
    };
    for (const auto& [text, message] : wrong) EXPECT_EQ(text_of(parse_config(text)), message);
}

TEST(ConfigFile, WhatIsWrittenReadsTheSame) {
    const std::vector<GivenOption> given = {
        {"M", "virt,aclint=on"}, {"m", "1G"}, {"kernel", "a \\ b"},     {"drive", "file=a,,b,id=d0"},
        {"serial", "stdio"},     {"S", ""},   {"device", "x,drive=d0"}, {"append", "say \"hi\""}};
    const std::string text = write_config(given);
    EXPECT_EQ(text_of(parse_config(text)), "-machine type=virt,aclint=on\n-m size=1G\n-machine kernel=a \\ b\n"
                                           "-drive id=d0,file=a,,b\n-device driver=x,drive=d0\n");
    for (const char* lost : {"\n# not in such files: -serial stdio\n", "\n# not in such files: -S\n",
                             "\n# not in such files: -append say \"hi\"\n"})
        EXPECT_NE(text.find(lost), std::string::npos) << lost;
}

TEST(ConfigFile, SetChangesTheLastOfThatId) {
    std::vector<GivenOption> all = {{"drive", "id=a,file=x"}, {"drive", "id=b"}, {"device", "y,id=a"}};
    EXPECT_TRUE(set_key(all, "drive.a.file=z,z"));
    EXPECT_EQ(all[0].value, "id=a,file=x,file=z,,z");
    EXPECT_TRUE(set_key(all, "device.a.throttling.iops=4"));
    EXPECT_EQ(all[2].value, "y,id=a,throttling.iops=4");
    EXPECT_EQ(set_key(all, "drive.c.file=z").error().message(), "-set: there is no drive with id 'c' before it");
    EXPECT_EQ(set_key(all, "drvie.c.file=z").error().message(),
              "-set: there is no group 'drvie', did you mean 'drive'?");
    EXPECT_EQ(set_key(all, "drive.file=z").error().message(), "-set: 'drive.file=z', expected GROUP.ID.KEY=VALUE");
}

} // namespace
} // namespace mimic::app
