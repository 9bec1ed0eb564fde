// The kernel's face: one book core. Twin of stevie/domain/market/core.py (`BookCore`), loaded by
// stevie/adapters/kernel.py.
//
// Everything crosses as PyObject* or int64_t: bytes as `const char*` or answers as structs would
// cost more than the work itself. No exception leaves: nullptr with a Python error set is an error
// of the caller (wrong type, impossible number) or of memory; what a venue may send is a code.
// The GIL is held throughout; never set __release_gil__ on these.

#ifndef STEVIE_MICRO_H
#define STEVIE_MICRO_H

#include <Python.h>

#include <cstdint>

namespace stevie {

// How a call ended; the numbers of `Code` in core.py.
enum class Code : int64_t {
  OK = 0,
  PAUSED = 1,     // the asked-for count of applied deltas was reached
  GAP = 2,        // the delta was not applied: something before it is missing
  CROSSED = 3,    // the message was applied, and best bid is above best ask
  MALFORMED = 4,  // unreadable, or numbers that do not fit; nothing changed
};

// What a frame is to a book; the numbers of `FrameKind` in core.py.
enum class FrameKind : int64_t { OTHER = 0, DELTA = 1, TRADE = 2, MALFORMED = 3 };

// The sha256 of the sources that this library was built from.
PyObject* source_hash() noexcept;

struct Book;  // all that is inside, out of sight so that cling has little to read

// One book's levels, sequence and windows. `configure` comes first and once.
class Core {
 public:
  Core() noexcept : book_(nullptr) {}
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // The types are CoreView, Features and NumberError: answers and errors are made of them.
  PyObject* configure(PyObject* native_symbol, int64_t rule, int64_t price_decimals,
                      int64_t size_decimals, int64_t obi_levels, int64_t window_ns,
                      int64_t window_events, PyObject* view_type, PyObject* features_type,
                      PyObject* number_error) noexcept;

  PyObject* load_snapshot(PyObject* body, int64_t level_limit, int64_t at_ns) noexcept;
  PyObject* apply_frames(PyObject* frames, PyObject* received_ns, int64_t start) noexcept;
  PyObject* apply_levels(int64_t first_seq, int64_t last_seq, int64_t previous_seq,
                         int64_t event_ns, PyObject* bids, PyObject* asks, int64_t at_ns) noexcept;
  PyObject* apply_deltas(PyObject* heads, PyObject* levels, int64_t start) noexcept;
  PyObject* follow(PyObject* frame, int64_t received_ns) noexcept;
  PyObject* scan(PyObject* frame) noexcept;
  PyObject* adopt(Core& fresher) noexcept;
  PyObject* pause_at(int64_t applied) noexcept;
  PyObject* refine(int64_t price_decimals, int64_t size_decimals) noexcept;
  PyObject* view() noexcept;
  PyObject* top(int64_t count) noexcept;
  PyObject* ladder(int64_t count) noexcept;
  PyObject* features(int64_t now_ns) noexcept;

 private:
  Book* book_;
};

}  // namespace stevie

#endif
