// Objects that block drivers use by name: `--object secret,id=ID,data=...`.
#pragma once
#include "block/driver.hpp"

namespace mimic::block {

// Makes the object that the options describe ("qom-type", "id", ...). Errors name what was expected.
Result<void> add_object(Context& context, Json options);

} // namespace mimic::block
