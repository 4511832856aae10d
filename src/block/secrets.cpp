#include "block/secrets.hpp"
#include <fstream>
#include <sstream>

namespace mimic::block {

Result<void> add_object(Context& context, Json options) {
    Json type = options.take("qom-type");
    if (!type.string() || *type.string() != "secret")
        return Error::invalid_argument("object type '{}' is not known here, expected secret",
                                       type.string() ? *type.string() : "");
    std::optional<std::string> id, data, file, encoding;
    OptionReader reader(options, "object 'secret'");
    reader.string("id", id, "");
    reader.string("data", data, "");
    reader.string("file", file, "");
    reader.string("format", encoding, "");
    TRY(reader.finish());
    if (!id || data.has_value() == file.has_value() || encoding.value_or("raw") != "raw")
        return Error::invalid_argument("object 'secret' expects id=, one of data= and file=, and no format but raw");
    if (file) {
        std::ifstream in(*file, std::ios::binary);
        std::ostringstream bytes;
        if (!in || !(bytes << in.rdbuf())) return Error::invalid_argument("Unable to read '{}'", *file);
        data = bytes.str();
    }
    if (!context.secrets.emplace(*id, *data).second) return Error::exists("attempt to add duplicate object '{}'", *id);
    return {};
}

} // namespace mimic::block
