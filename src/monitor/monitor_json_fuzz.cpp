// What a QMP client sends: the stream is cut, texts are parsed and checked against the arguments of a command; expressions of HMP.
#include "monitor/commands.hpp"
#include "monitor/human/human.hpp"
#include "qmp/json_stream.hpp"

using namespace mimic;
using namespace mimic::monitor;
using mimic::qmp::JsonStream;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static const std::unique_ptr<Schema> schema = make_schema();
    JsonStream stream;
    stream.feed({data, size}, [&](Result<std::string> text) {
        if (!text) return;
        auto json = Json::parse(*text);
        if (!json) return;
        const Json *name = json->find("execute"), *arguments = json->find("arguments");
        if (!name || !name->string()) return;
        const Command* c = schema->find(*name->string());
        if (c && arguments) (void)bool(schema->check(*arguments, schema->arguments(*c)));
    });
    std::string_view text(reinterpret_cast<const char*>(data), std::min<size_t>(size, 1000));
    (void)bool(evaluate(text, nullptr));
    return 0;
}
