// Encryption of the data clusters (Qcow2 Image File Format, section Data encryption): with LUKS, sectors are numbered as they
// lie in the file, and the header with its key slots lies in clusters of the image; with the older AES they are numbered as on
// the disk. Tables, compressed clusters and the names in the header are not encrypted.
#include "block/formats/image.hpp"
#include "block/objects.hpp"
#include "block/qcow2/image.hpp"

namespace mimic::block::qcow2 {

namespace {

constexpr std::string_view formats[] = {"aes", "luks"};

std::span<const u8> bytes_of(const std::string& s) { return {reinterpret_cast<const u8*>(s.data()), s.size()}; }

} // namespace

void EncryptOptions::describe(OptionVisitor& v) {
    v.choice("encrypt.format", formats, format, "Encrypt the image, format choices: 'aes', 'luks'");
    VolumeOptions::describe(v, "encrypt.");
}

const luks::SectorCipher* Qcow2::cipher() const {
    if (legacy_cipher_) return &*legacy_cipher_;
    return volume_ ? volume_->cipher() : nullptr;
}

Task<Result<void>> Qcow2::read_data(u64 host, u64 offset, const IoVec& memory) {
    if (!header_.encrypted()) co_return co_await data_node().read(host, memory);
    if (!cipher()) co_return Error::permission("'{}' was opened without its key", filename());
    u64 number = (header_.crypt == Crypt::luks ? host : offset) / luks::sector;
    co_return co_await luks::read_encrypted(*cipher(), data_node(), host, number, memory);
}

Task<Result<void>> Qcow2::write_data(u64 host, u64 offset, const IoVec& memory) {
    if (!header_.encrypted()) co_return co_await data_node().write(host, memory);
    if (!cipher()) co_return Error::permission("'{}' was opened without its key", filename());
    u64 number = (header_.crypt == Crypt::luks ? host : offset) / luks::sector;
    co_return co_await luks::write_encrypted(*cipher(), data_node(), host, number, memory);
}

Task<Result<void>> Qcow2::start_encryption() {
    std::string_view method = crypt_names[size_t(header_.crypt)];
    if (own_.encryption && *own_.encryption != method)
        co_return Error::invalid_argument("Header reported '{}' encryption format but options specify '{}'",
                                          method.empty() ? "no" : method, *own_.encryption);
    if (!header_.encrypted()) {
        if (own_.key_secret)
            co_return Error::invalid_argument("'{}' is not encrypted, 'encrypt.key-secret' is not for it", filename());
        co_return Result<void>();
    }
    limits_.request_alignment = luks::sector;
    if (!no_io_ && !own_.key_secret)
        co_return Error::invalid_argument("Parameter 'encrypt.key-secret' is required for cipher");
    if (header_.crypt == Crypt::luks) {
        CO_TRY(volume_, co_await luks::Volume::open(context(), {*file(), header_.luks_offset}, header_.luks_length,
                                                    own_.key_secret));
    } else if (own_.key_secret) {
        CO_TRY(auto secret, find_secret(context(), *own_.key_secret));
        CO_TRY(legacy_cipher_, luks::legacy_cipher(bytes_of(secret)));
    }
    co_return Result<void>();
}

Task<Result<void>> Qcow2::set_up_encryption(const EncryptOptions& o) {
    if (!o.key_secret) co_return Error::invalid_argument("Parameter 'encrypt.key-secret' is required for cipher");
    limits_.request_alignment = luks::sector;
    if (formats[*o.format] == "aes") {
        CO_TRY(auto secret, find_secret(context(), *o.key_secret));
        CO_TRY(legacy_cipher_, luks::legacy_cipher(bytes_of(secret)));
        header_.crypt = Crypt::aes;
        co_return co_await write_header();
    }
    CO_TRY(u64 room, luks::Volume::room_for(o));
    auto lock = co_await metadata_.lock();
    CO_TRY(u64 offset, co_await refcounts_.allocate_bytes(room));
    // All of the room, so that the file reaches to its end.
    u64 whole = round_up(room, header_.cluster_size());
    CO_CHECK(co_await file()->write_zeroes(offset, whole, 0));
    CO_TRY(volume_, co_await luks::Volume::make(context(), {*file(), offset}, o));
    CO_CHECK(co_await flush_tables());
    header_.crypt = Crypt::luks;
    header_.luks_offset = offset;
    header_.luks_length = room;
    co_return co_await write_header();
}

Json Qcow2::encryption_info() const {
    std::string_view name = crypt_names[size_t(header_.crypt)];
    if (volume_) return volume_->info(name);
    Json data = Json::object();
    data.set("format", name);
    return data;
}

} // namespace mimic::block::qcow2
