// The kernel: raw frames to book to features, in batches. Twin, function by function and bit for
// bit, of the reference in stevie/domain/market/ (fixed_point, sequencer, ladder, features, core)
// and stevie/venues/binance/ (codec, reference), which say what is meant; here is how it is fast.
// tests/parity/ holds the two together.

#include "micro.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/mman.h>

// A fused multiply-add rounds once where Python rounds twice. g++ knows only -ffp-contract=off.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packed ladders and digit runs");

#ifndef STEVIE_SOURCE_HASH
#define STEVIE_SOURCE_HASH ""
#endif

namespace stevie {
namespace {

__extension__ typedef __int128 int128_t;
__extension__ typedef unsigned __int128 uint128_t;

// -- fixed_point.py -------------------------------------------------------------------------------

constexpr int64_t UNITS_MAX = (int64_t{1} << 61) - 1;
constexpr int64_t DECIMALS_MAX = 18;
constexpr size_t WHOLE_DIGITS_MAX = 19;

constexpr std::array<int64_t, DECIMALS_MAX + 1> make_powers_of_ten() {
  std::array<int64_t, DECIMALS_MAX + 1> powers{};
  int64_t power = 1;
  for (size_t i = 0; i < powers.size(); ++i) {
    powers[i] = power;
    if (i + 1 < powers.size()) power *= 10;
  }
  return powers;
}
constexpr auto POWER_OF_TEN = make_powers_of_ten();

int64_t power_of_ten(int64_t exponent) { return POWER_OF_TEN[static_cast<size_t>(exponent)]; }

struct Number {
  int64_t mantissa;
  int64_t decimals;
};

unsigned digit_of(char c) { return static_cast<unsigned>(static_cast<unsigned char>(c)) - '0'; }

// Skips a run of digits.
const char* skip_digits(const char* p, const char* end) {
  while (p < end && digit_of(*p) < 10) ++p;
  return p;
}

// An unsigned decimal number that fills [p, end); false for anything else and past the limits.
bool read(const char* p, const char* end, Number& out) {
  const char* const whole_end = skip_digits(p, end);
  const char* fraction = whole_end;
  const char* fraction_end = whole_end;
  if (whole_end == p) return false;
  if (whole_end < end) {
    if (*whole_end != '.') return false;
    fraction = whole_end + 1;
    fraction_end = skip_digits(fraction, end);
    if (fraction_end == fraction || fraction_end != end) return false;
  }
  while (p < whole_end && *p == '0') ++p;
  while (fraction < fraction_end && fraction_end[-1] == '0') --fraction_end;
  if (static_cast<size_t>(whole_end - p) > WHOLE_DIGITS_MAX) return false;
  if (fraction_end - fraction > DECIMALS_MAX) return false;
  uint128_t mantissa = 0;  // 19 + 18 digits at most
  for (; p < whole_end; ++p) mantissa = mantissa * 10 + digit_of(*p);
  for (const char* q = fraction; q < fraction_end; ++q) mantissa = mantissa * 10 + digit_of(*q);
  if (mantissa > static_cast<uint128_t>(UNITS_MAX)) return false;
  out = {static_cast<int64_t>(mantissa), fraction_end - fraction};
  return true;
}

// The same number in units of 10**-to_decimals; false past UNITS_MAX.
bool rescale(Number number, int64_t to_decimals, int64_t& out) {
  const int128_t units =
      static_cast<int128_t>(number.mantissa) * power_of_ten(to_decimals - number.decimals);
  if (units > UNITS_MAX) return false;
  out = static_cast<int64_t>(units);
  return true;
}

// -- sequencer.py ---------------------------------------------------------------------------------

enum class SequenceRule : int64_t { SPOT = 0, USDM = 1 };
enum class Verdict { APPLY, STALE, GAP };

struct Position {
  int64_t first_seq = -1;
  int64_t last_seq = -1;
  bool is_snapshot = true;
  int64_t previous_seq = -1;
};

struct DeltaSpan {
  int64_t first_seq;
  int64_t last_seq;
  int64_t previous_seq;
};

// Sequence numbers reach the end of an int64, so "one more" is asked for in a wider type.
int128_t after(int64_t seq) { return static_cast<int128_t>(seq) + 1; }

Verdict judge_first(SequenceRule rule, int64_t snapshot_seq, const DeltaSpan& delta) {
  if (rule == SequenceRule::SPOT) {
    if (delta.last_seq <= snapshot_seq) return Verdict::STALE;
    return delta.first_seq <= after(snapshot_seq) ? Verdict::APPLY : Verdict::GAP;
  }
  if (delta.last_seq < snapshot_seq) return Verdict::STALE;
  return delta.previous_seq <= snapshot_seq ? Verdict::APPLY : Verdict::GAP;
}

bool continues(SequenceRule rule, int64_t last_seq, const DeltaSpan& delta) {
  if (rule == SequenceRule::SPOT) return delta.first_seq == after(last_seq);
  return delta.previous_seq == last_seq && delta.last_seq > last_seq;
}

Verdict judge(SequenceRule rule, const Position& position, const DeltaSpan& delta) {
  if (position.is_snapshot) return judge_first(rule, position.last_seq, delta);
  if (continues(rule, position.last_seq, delta)) return Verdict::APPLY;
  const bool is_old = delta.last_seq <= position.last_seq &&
                      delta.first_seq <= position.first_seq &&
                      delta.previous_seq <= position.previous_seq;
  return is_old ? Verdict::STALE : Verdict::GAP;
}

// -- memory ---------------------------------------------------------------------------------------

#if defined(__SANITIZE_ADDRESS__)
constexpr bool IS_WATCHED = true;  // each block an allocation of its own, fenced
#else
constexpr bool IS_WATCHED = false;
#endif

// Blocks of huge pages, under the GIL: a thousand books lie on more small pages than a processor
// keeps the addresses of. Sizes are powers of two; two free halves join again, and a chunk that is
// free as a whole goes back to the system, all but one.
class Arena {
 public:
  static void* take(size_t size) {
    if (is_plain(size)) return ::operator new(size);
    const size_t order = order_of(size);
    size_t from = order;
    while (from < ORDERS && free_[from] == nullptr) ++from;
    if (from == ORDERS) from = add_chunk();
    Block* const block = free_[from];
    remove(block, from);
    while (from-- > order) add(at(block, UNIT << from), from);
    Chunk* const chunk = chunk_of(block);
    empty_chunks_ -= chunk->taken++ == 0;
    return block;
  }

  static void give(void* memory, size_t size) {
    if (is_plain(size)) return ::operator delete(memory);
    Block* block = static_cast<Block*>(memory);
    Chunk* const chunk = chunk_of(block);
    size_t order = order_of(size);
    for (; order + 1 < ORDERS; ++order) {
      const size_t offset = offset_of(block);
      Block* const buddy = at(chunk, offset ^ (UNIT << order));
      if (!chunk->is_free(buddy, order)) break;
      remove(buddy, order);
      block = std::min(block, buddy);
    }
    add(block, order);
    if (--chunk->taken == 0 && empty_chunks_++ == EMPTY_CHUNKS_MAX) drop(chunk);
  }

 private:
  static constexpr size_t UNIT = 1024, CHUNK = size_t{2} << 20, ORDERS = 11;
  static constexpr size_t HEADER = 4096;         // a chunk's first bytes
  static constexpr size_t EMPTY_CHUNKS_MAX = 1;  // kept for the next one who comes

  struct Block {
    Block *previous, *next;
  };

  struct Chunk {
    size_t taken = 0;
    std::array<uint8_t, CHUNK / UNIT> free_orders{};  // order + 1 where a free block begins

    bool is_free(const Block* block, size_t order) const {
      return free_orders[offset_of(block) / UNIT] == order + 1;
    }
  };
  static_assert(sizeof(Chunk) <= HEADER, "and the first block begins behind it");

  static bool is_plain(size_t size) { return IS_WATCHED || size > UNIT << (ORDERS - 1); }

  static size_t order_of(size_t size) {
    size_t order = 0;
    while (UNIT << order < size) ++order;
    return order;
  }

  static size_t offset_of(const Block* block) {
    return reinterpret_cast<uintptr_t>(block) % CHUNK;
  }
  static Block* at(void* base, size_t offset) {
    return reinterpret_cast<Block*>(static_cast<char*>(base) + offset);
  }
  static Chunk* chunk_of(Block* block) {
    return reinterpret_cast<Chunk*>(reinterpret_cast<char*>(block) - offset_of(block));
  }

  static void add(Block* block, size_t order) {
    *block = {nullptr, free_[order]};
    if (block->next != nullptr) block->next->previous = block;
    free_[order] = block;
    chunk_of(block)->free_orders[offset_of(block) / UNIT] = static_cast<uint8_t>(order + 1);
  }

  static void remove(Block* block, size_t order) {
    (block->previous == nullptr ? free_[order] : block->previous->next) = block->next;
    if (block->next != nullptr) block->next->previous = block->previous;
    chunk_of(block)->free_orders[offset_of(block) / UNIT] = 0;
  }

  // Behind its header a chunk is blocks of 4 kB, 8 kB, 16 kB, ...: the largest one's order.
  static size_t add_chunk() {
    constexpr int ACCESS = PROT_READ | PROT_WRITE, KIND = MAP_PRIVATE | MAP_ANONYMOUS;
    void* const memory = mmap(nullptr, 2 * CHUNK, ACCESS, KIND, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    const size_t before = CHUNK - reinterpret_cast<uintptr_t>(memory) % CHUNK;
    char* const begin = static_cast<char*>(memory) + before;
    munmap(memory, before);
    if (before < CHUNK) munmap(begin + CHUNK, CHUNK - before);
    madvise(begin, CHUNK, MADV_HUGEPAGE);  // where there are none, small pages do
    Chunk* const chunk = new (begin) Chunk;
    for (size_t offset = HEADER; offset < CHUNK; offset *= 2) {
      add(at(chunk, offset), order_of(offset));
    }
    ++empty_chunks_;
    return ORDERS - 1;
  }

  static void drop(Chunk* chunk) {
    for (size_t offset = HEADER; offset < CHUNK; offset *= 2) {
      remove(at(chunk, offset), order_of(offset));
    }
    munmap(chunk, CHUNK);
    --empty_chunks_;
  }

  inline static std::array<Block*, ORDERS> free_{};
  inline static size_t empty_chunks_ = 0;
};

// So many items in a block of the arena, zeroed.
template <class Item>
class Array {
 public:
  explicit Array(size_t size = 0) : size_(size) {
    static_assert(std::is_trivially_copyable_v<Item>);
    if (size == 0) return;
    items_ = static_cast<Item*>(Arena::take(size * sizeof(Item)));
    std::memset(static_cast<void*>(items_), 0, size * sizeof(Item));
  }
  Array(Array&& other) noexcept { swap(other); }
  Array& operator=(Array&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Array() {
    if (items_ != nullptr) Arena::give(items_, size_ * sizeof(Item));
  }

  void swap(Array& other) noexcept {
    std::swap(items_, other.items_);
    std::swap(size_, other.size_);
  }

  size_t size() const { return size_; }
  Item& operator[](size_t index) { return items_[index]; }
  const Item& operator[](size_t index) const { return items_[index]; }
  Item* begin() { return items_; }
  Item* end() { return items_ + size_; }
  const Item* begin() const { return items_; }
  const Item* end() const { return items_ + size_; }

 private:
  Item* items_ = nullptr;
  size_t size_ = 0;
};

// -- ladder.py ------------------------------------------------------------------------------------

struct Level {
  int64_t ticks;
  int64_t lots;
};

// Levels in no order: a hash table. Linear probing; a removed level stays, with 0 lots, until the
// next rebuild, for the prices that go are the ones that come back.
class Table {
 public:
  explicit Table(uint64_t seed) : seed_(seed) { clear(0); }

  // Forgets all; with room for as many as `count`, and some.
  void clear(size_t count) { empty(count); }

  // Where a price is looked for first.
  const void* memory_of(int64_t ticks) const { return &slots_[home_of(ticks)]; }

  // The lots at a price, 0 if there is no level.
  int64_t lots_at(int64_t ticks) const { return slots_[slot_of(ticks)].lots; }

  // Removes the level at a price, which is there: its lots.
  int64_t take(int64_t ticks) {
    --size_;
    return std::exchange(slots_[slot_of(ticks)].lots, 0);
  }

  // Writes a level, or the lack of one; whether there was one.
  //
  // PERF: with no branch on what kind of change it is, since none can be foretold: that a level
  // to remove was not there only takes a slot until the next rebuild.
  bool put(int64_t ticks, int64_t lots) {
    Level& slot = slots_[slot_of(ticks)];
    const bool was_there = slot.lots != 0;
    used_ += slot.ticks == FREE;
    size_ += static_cast<size_t>(lots != 0) - static_cast<size_t>(was_there);
    slot = {ticks, lots};
    if (2 * used_ > slots_.size()) rebuild();  // half full at most: a probe or two each
    return was_there;
  }

  template <class Visit>
  void each(Visit visit) const {
    for (const Level& level : slots_) {
      if (level.lots != 0) visit(level);
    }
  }

 private:
  static constexpr int64_t FREE = 0;  // no price is 0
  static constexpr size_t SLOTS_AT_FIRST = 64;

  // The seed is of this process: nobody can send prices that are sure to collide.
  size_t home_of(int64_t ticks) const {
    constexpr uint64_t GOLDEN = 0x9E3779B97F4A7C15U;
    return static_cast<size_t>(((static_cast<uint64_t>(ticks) ^ seed_) * GOLDEN) >> shift_);
  }

  // Where a price is, or would be.
  size_t slot_of(int64_t ticks) const {
    const size_t home = home_of(ticks);
    // PERF: without a branch as far as the second slot: in a table up to half full the first is
    // often another's, and none can tell when.
    const int64_t at_home = slots_[home].ticks;
    const size_t is_taken = static_cast<size_t>(at_home != ticks) & (at_home != FREE);
    size_t slot = (home + is_taken) & (slots_.size() - 1);
    while (slots_[slot].ticks != ticks && slots_[slot].ticks != FREE) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return slot;
  }

  // What was there before.
  Array<Level> empty(size_t count) {
    size_t capacity = SLOTS_AT_FIRST;
    while (3 * capacity < 8 * count) capacity *= 2;
    Array<Level> slots(capacity);
    slots.swap(slots_);
    shift_ = 64 - __builtin_ctzll(capacity);
    used_ = size_ = 0;
    return slots;
  }

  void rebuild() {
    const Array<Level> before = empty(size_);
    for (const Level& level : before) {
      if (level.lots != 0) put(level.ticks, level.lots);
    }
  }

  uint64_t seed_;
  size_t size_ = 0;  // levels
  size_t used_ = 0;  // slots, those with 0 lots included
  int shift_ = 0;    // of a 64-bit product down to an index of slots_
  Array<Level> slots_;
};

// One side's levels by their keys, sign * ticks: the best is the highest. The lots of those near
// the touch lie in a row, price by price; a table holds the others. Marks, one bit for each of many
// more prices, tell in which order levels stand. A change costs one write and one bit, whatever
// its kind; order costs only where it is read, and then a search for the next bit.
class Side {
 public:
  Side(int64_t sign, uint64_t seed)
      : sign_(sign), skew_(seed), near_(NEAR), marks_(MARK_WORDS), far_(seed) {
    clear();
  }

  int64_t size() const { return static_cast<int64_t>(size_); }

  // Asks for the memory that `set` is going to need of a level.
  void prefetch(int64_t ticks) const {
    const int64_t key = sign_ * ticks;
    __builtin_prefetch(is_near(key) ? &near_[row_of(key)] : far_.memory_of(ticks), 1);
    __builtin_prefetch(&marks_[word_of(offset_of(key))], 1);
  }

  // Asks for the memory that `top` of a few is going to need.
  void prefetch_top() const {
    constexpr int64_t LINE = 64 / sizeof(int64_t);
    prefetch(sign_ * best_);
    __builtin_prefetch(&near_[row_of(best_ - LINE)]);
  }

  // Sets the levels' new totals; 0 removes one. How many to remove were not there.
  template <class Levels>
  int64_t set(const Levels& changes) {
    int64_t unknown = 0, gained = 0;
    for (const Level& change : changes) {
      const int64_t key = sign_ * change.ticks;
      const bool is_there = change.lots != 0, was_there = put(key, change.lots);
      unknown += !is_there & !was_there;
      gained += is_there - was_there;
      mark(key, is_there);
    }
    size_ += static_cast<size_t>(gained);
    return unknown;
  }

  // Forgets all and takes these levels; a later one of the same price wins, one of 0 lots is none.
  template <class Levels>
  void replace(const Levels& levels) {
    clear();
    for (const Level& level : levels) {
      if (level.lots != 0) best_ = std::max(best_, sign_ * level.ticks);
    }
    near_base_ = best_ - NEAR_BEHIND;
    far_.clear(static_cast<size_t>(std::count_if(levels.begin(), levels.end(), [&](const Level& l) {
      return !is_near(sign_ * l.ticks);
    })));
    for (const Level& level : levels) {
      if (level.lots != 0) size_ += !put(sign_ * level.ticks, level.lots);
    }
    mark_all();
  }

  void clear() {
    std::fill(near_.begin(), near_.end(), 0);
    far_.clear(0);
    size_ = 0;
    mark_all();
  }

  // The best level; false on an empty side.
  bool touch(Level& out) {
    if (size_ == 0) return false;
    find_best();
    out = level_at(best_);
    return true;
  }

  // Hands the best `count` levels to `take`, best first.
  template <class Take>
  void top(int64_t count, Take take) {
    size_t wanted = std::min(static_cast<size_t>(count), size_);
    if (wanted == 0) return;
    find_best();
    for (uint64_t offset = offset_of(best_) / 64 * 64 + 64; offset != 0;) {
      offset -= 64;
      for (uint64_t bits = marks_[word_of(offset)]; bits != 0; bits ^= highest_bit(bits)) {
        take(level_at(base_ + static_cast<int64_t>(offset + highest(bits))));
        if (--wanted == 0) return;
      }
    }
    take_unmarked(wanted, take);
  }

  // Counts in finer ticks and lots.
  void multiply(int64_t price_factor, int64_t size_factor) {
    std::vector<Level> levels;
    levels.reserve(size_);
    each([&](const Level& level) {
      levels.push_back({level.ticks * price_factor, level.lots * size_factor});
    });
    replace(levels);
  }

  // The highest price and the largest size, 0 on an empty side.
  Level maxima() const {
    Level most{0, 0};
    each([&most](const Level& level) {
      most = {std::max(most.ticks, level.ticks), std::max(most.lots, level.lots)};
    });
    return most;
  }

 private:
  static constexpr int64_t NEAR = 2048;
  static constexpr int64_t NEAR_BEHIND = NEAR / 4 * 3;  // so many of them behind the touch at first
  static constexpr size_t MARK_WORDS = 1024;  // 65,536 prices: 200 levels of any book recorded
  static constexpr uint64_t MARKS = 64 * MARK_WORDS;

  template <class Visit>
  void each(Visit visit) const {
    far_.each(visit);
    for (int64_t key = near_base_; key < near_base_ + NEAR; ++key) {
      if (const int64_t lots = near_[row_of(key)]; lots != 0) visit(Level{sign_ * key, lots});
    }
  }

  // -- the levels: those of NEAR prices from `near_base_` up by themselves

  bool is_near(int64_t key) const {
    return static_cast<uint64_t>(key - near_base_) < static_cast<uint64_t>(NEAR);
  }
  static size_t row_of(int64_t key) { return static_cast<size_t>(key) % NEAR; }

  // Writes a level, or the lack of one; whether there was one.
  bool put(int64_t key, int64_t lots) {
    if (!is_near(key)) return far_.put(sign_ * key, lots);
    return std::exchange(near_[row_of(key)], lots) != 0;
  }

  Level level_at(int64_t key) const {
    const int64_t ticks = sign_ * key;
    return {ticks, is_near(key) ? near_[row_of(key)] : far_.lots_at(ticks)};
  }

  // Puts the touch among those near again: some levels go to the table, some come from there.
  void follow_best() {
    const int64_t before = std::exchange(near_base_, best_ - NEAR_BEHIND), after = near_base_;
    const auto leave = [this](int64_t from, int64_t to) {
      for (int64_t key = from; key < to; ++key) {
        int64_t& lots = near_[row_of(key)];
        if (lots != 0) far_.put(sign_ * key, std::exchange(lots, 0));
      }
    };
    const auto enter = [this](int64_t from, int64_t to) {
      for (int64_t key = from; key < to; ++key) {
        if (is_marked(key)) near_[row_of(key)] = far_.take(sign_ * key);
      }
    };
    leave(before, std::min(before + NEAR, after));
    leave(std::max(before, after + NEAR), before + NEAR);
    enter(after, std::min(after + NEAR, before));
    enter(std::max(after, before + NEAR), after + NEAR);
  }

  // -- the marks: which of the keys from `base_` up hold a level

  static unsigned highest(uint64_t bits) {
    return 63U - static_cast<unsigned>(__builtin_clzll(bits));
  }
  static uint64_t highest_bit(uint64_t bits) { return uint64_t{1} << highest(bits); }

  uint64_t offset_of(int64_t key) const { return static_cast<uint64_t>(key - base_); }

  // Skewed, so that not all books have their touch in the same sets of the cache.
  size_t word_of(uint64_t offset) const { return (offset / 64 + skew_) % MARK_WORDS; }

  bool is_marked(int64_t key) const {
    const uint64_t offset = offset_of(key);
    return offset < MARKS && (marks_[word_of(offset)] >> offset % 64 & 1) != 0;
  }

  void mark(int64_t key, bool is_there) {
    const uint64_t offset = offset_of(key);
    if (offset >= MARKS) {
      if (key > base_ && is_there) mark_all();
      return;
    }
    // PERF: without a branch: half of all changes come or go, and none can tell which.
    uint64_t& word = marks_[word_of(offset)];
    word = (word & ~(uint64_t{1} << offset % 64)) | uint64_t{is_there} << offset % 64;
    if (is_there & (key > best_)) best_ = key;  // seldom
  }

  // Makes `best_`, which no key is above, the best key; there is one.
  void find_best() {
    if (!is_marked(best_)) search_best();
    if (static_cast<uint64_t>(best_ - near_base_ - NEAR / 2) >= NEAR / 2) follow_best();
  }

  void search_best() {
    for (uint64_t offset = offset_of(best_) / 64 * 64 + 64; offset != 0;) {
      offset -= 64;
      const uint64_t bits = marks_[word_of(offset)];
      if (bits == 0) continue;
      best_ = base_ + static_cast<int64_t>(offset + highest(bits));
      if (offset >= MARKS / 4) return;
      break;
    }
    mark_all();
  }

  // Puts the marks where the touch is: a quarter of them for better prices to come.
  void mark_all() {
    best_ = INT64_MIN / 2;
    each([this](const Level& level) { best_ = std::max(best_, sign_ * level.ticks); });
    base_ = best_ - static_cast<int64_t>(MARKS / 4 * 3);
    std::fill(marks_.begin(), marks_.end(), 0);
    each([this](const Level& level) { mark(sign_ * level.ticks, true); });
  }

  // The best ones behind the marks: the whole table is sorted out, for few levels are so far away.
  template <class Take>
  void take_unmarked(size_t count, Take take) {
    std::vector<int64_t> keys;
    each([&](const Level& level) {
      if (sign_ * level.ticks < base_) keys.push_back(sign_ * level.ticks);
    });
    const auto end = keys.begin() + static_cast<std::ptrdiff_t>(std::min(count, keys.size()));
    std::partial_sort(keys.begin(), end, keys.end(), std::greater<>());
    std::for_each(keys.begin(), end, [&](int64_t key) { take(level_at(key)); });
  }

  int64_t sign_;  // +1 for bids and -1 for asks
  uint64_t skew_;
  size_t size_ = 0;
  int64_t near_base_ = 0, base_ = 0, best_ = 0;
  Array<int64_t> near_;  // lots
  Array<uint64_t> marks_;
  Table far_;
};

struct Touch {
  Level bid;
  Level ask;

  // Best bid above best ask; equal (locked) is legal.
  bool is_crossed() const { return bid.ticks > ask.ticks; }
};

inline bool operator==(const Level& a, const Level& b) {
  return a.ticks == b.ticks && a.lots == b.lots;
}

struct Ladder {
  explicit Ladder(uint64_t seed) : bids(+1, seed), asks(-1, seed) {}

  // Both best levels; false if a side is empty.
  bool touch(Touch& out) { return bids.touch(out.bid) && asks.touch(out.ask); }

  bool is_crossed() {
    Touch best;
    return touch(best) && best.is_crossed();
  }

  Side bids, asks;
};

// -- features.py ----------------------------------------------------------------------------------

constexpr int64_t OBI_LEVELS_MAX = 1000;
constexpr int64_t WINDOW_NS_MAX = int64_t{24} * 3600 * 1000000000;
constexpr int64_t WINDOW_ENTRIES_MAX = 8192;
constexpr double RETURN_SCALE = 4611686018427387904.0;  // 2**62

struct FeatureSpec {
  int64_t obi_levels = 5;
  int64_t window_ns = 10000000000;
  int64_t window_events = 100;
};

// Sums of integers, plain and absolute, over the last `span_ns` and over the last `events`. Both
// windows end at the newest event, so one ring holds them, each with its own tail. Absolute sums
// are kept only where they are read.
template <bool HAS_SIZES>
class Window {
 public:
  explicit Window(const FeatureSpec& spec)
      : span_ns_(spec.window_ns), events_(static_cast<uint64_t>(spec.window_events)) {}

  void clear() {
    head_ = time_tail_ = count_tail_ = 0;
    time_sum = time_size = count_sum = count_size = 0;
    newest_ns = -1;
    since_break = 0;
  }

  uint64_t size() const { return head_ - time_tail_; }

  void roll_update(int64_t at_ns, int64_t value) {
    at_ns = std::max(at_ns, newest_ns);
    newest_ns = at_ns;
    ++since_break;
    if (head_ - std::min(time_tail_, count_tail_) == ring_.size()) grow();
    event(head_++) = {at_ns, value};
    time_sum += value;
    count_sum += value;
    if (HAS_SIZES) time_size += std::abs(value);
    if (HAS_SIZES) count_size += std::abs(value);
    if (head_ - count_tail_ > events_) {
      const int64_t old = event(count_tail_++).value;
      count_sum -= old;
      if (HAS_SIZES) count_size -= std::abs(old);
    }
    if (size() > static_cast<uint64_t>(WINDOW_ENTRIES_MAX)) drop_oldest();
    expire(at_ns);
  }

  void expire(int64_t now_ns) {
    const int128_t horizon_ns = static_cast<int128_t>(now_ns) - span_ns_;
    while (time_tail_ != head_ && event(time_tail_).at_ns <= horizon_ns) drop_oldest();
  }

  // Asks for the memory that `roll_update` and `expire` are going to need.
  void prefetch() {
    if (ring_.size() == 0) return;
    __builtin_prefetch(&event(head_), 1);
    __builtin_prefetch(&event(time_tail_));
    __builtin_prefetch(&event(count_tail_));
  }

  int128_t time_sum = 0, time_size = 0, count_sum = 0, count_size = 0;
  int64_t newest_ns = -1;
  int64_t since_break = 0;

 private:
  static constexpr size_t EVENTS_AT_FIRST = 64;  // most of many books are quiet

  struct Event {
    int64_t at_ns;
    int64_t value;
  };

  Event& event(uint64_t index) { return ring_[index & (ring_.size() - 1)]; }

  void drop_oldest() {
    const int64_t value = event(time_tail_++).value;
    time_sum -= value;
    if (HAS_SIZES) time_size -= std::abs(value);
  }

  void grow() {
    Array<Event> wider(ring_.size() == 0 ? EVENTS_AT_FIRST : 2 * ring_.size());
    for (uint64_t i = std::min(time_tail_, count_tail_); i != head_; ++i) {
      wider[i & (wider.size() - 1)] = event(i);
    }
    ring_.swap(wider);
  }

  int64_t span_ns_;
  uint64_t events_;
  uint64_t head_ = 0, time_tail_ = 0, count_tail_ = 0;
  Array<Event> ring_;  // its size is a power of two
};

int64_t order_flow(const Touch& before, const Touch& after) {
  int64_t flow = 0;  // four sizes of 61 bits cancel in pairs: no more than 62 bits
  if (after.bid.ticks >= before.bid.ticks) flow += after.bid.lots;
  if (after.bid.ticks <= before.bid.ticks) flow -= before.bid.lots;
  if (after.ask.ticks <= before.ask.ticks) flow -= after.ask.lots;
  if (after.ask.ticks >= before.ask.ticks) flow += before.ask.lots;
  return flow;
}

double weighted_mid(const Level& bid, const Level& ask) {
  const double spread = static_cast<double>(ask.ticks - bid.ticks);
  const double lots = static_cast<double>(bid.lots + ask.lots);
  return static_cast<double>(bid.ticks) + spread * static_cast<double>(bid.lots) / lots;
}

int64_t squared_return(double before, double after) {
  const double log_return = std::log(after / before);
  return static_cast<int64_t>(std::min(log_return * log_return, 1.0) * RETURN_SCALE);
}

double spread_bps(const Level& bid, const Level& ask) {
  return static_cast<double>(ask.ticks - bid.ticks) * 20000.0 /
         static_cast<double>(ask.ticks + bid.ticks);
}

int64_t age_ns(int64_t now_ns, int64_t newest_ns) {
  if (newest_ns < 0) return -1;
  return now_ns <= newest_ns ? 0 : now_ns - newest_ns;
}

// PERF: the same double either way, but 128 bits take a call.
double to_double(int128_t value) {
  const int64_t narrow = static_cast<int64_t>(value);
  return narrow == value ? static_cast<double>(narrow) : static_cast<double>(value);
}

// A tuple in the making; no exception, but a null result, when memory runs out.
class Row {
 public:
  explicit Row(Py_ssize_t size) : tuple_(PyTuple_New(size)) {}
  Row(PyTypeObject* type, Py_ssize_t size) : tuple_(type->tp_alloc(type, size)) {}
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;
  ~Row() { Py_XDECREF(tuple_); }

  void add(PyObject* item) {
    if (tuple_ == nullptr || item == nullptr) {
      Py_XDECREF(item);
      Py_CLEAR(tuple_);
      return;
    }
    PyTuple_SET_ITEM(tuple_, next_++, item);
  }

  void integer(int64_t value) { add(PyLong_FromLongLong(value)); }
  void real(double value) { add(PyFloat_FromDouble(value)); }
  void none() { add(Py_NewRef(Py_None)); }
  void ratio(int128_t signed_sum, int128_t size) {
    if (size == 0) return none();
    real(to_double(signed_sum) / to_double(size));
  }

  PyObject* take() { return std::exchange(tuple_, nullptr); }

 private:
  PyObject* tuple_;
  Py_ssize_t next_ = 0;
};

constexpr Py_ssize_t FEATURE_COUNT = 15;

class FeatureState {
 public:
  explicit FeatureState(const FeatureSpec& spec)
      : spec_(spec), ofi_(spec), returns_(spec), trades_(spec) {}

  void on_break(int64_t at_ns) {
    has_touch_ = false;
    break_ns_ = depth_ns_ = at_ns;
    ofi_.since_break = returns_.since_break = trades_.since_break = 0;
  }

  void on_rescale() {
    ofi_.clear();
    trades_.clear();
    has_touch_ = false;
  }

  // A delta was applied, and this is the touch after it; nullptr where a side is empty.
  void on_delta(int64_t at_ns, const Touch* touch) {
    depth_ns_ = at_ns;
    if (touch == nullptr) {
      has_touch_ = false;
    } else if (has_touch_ && touch->bid == touch_.bid && touch->ask == touch_.ask) {
      ofi_.roll_update(at_ns, 0);  // what the formulas come to
      returns_.roll_update(at_ns, 0);
    } else {
      on_touch(at_ns, *touch);
    }
  }

  void prefetch() {
    ofi_.prefetch();
    returns_.prefetch();
  }

  void on_trade(int64_t at_ns, int64_t signed_lots) { trades_.roll_update(at_ns, signed_lots); }

  PyObject* read(int64_t now_ns, Ladder& ladder, int64_t size_decimals, PyTypeObject* type) {
    ofi_.expire(now_ns);
    returns_.expire(now_ns);
    trades_.expire(now_ns);
    const double lot_count = static_cast<double>(power_of_ten(size_decimals));
    Row row(type, FEATURE_COUNT);
    read_book(ladder, row);
    row.real(to_double(ofi_.time_sum) / lot_count);
    row.real(to_double(ofi_.count_sum) / lot_count);
    row.ratio(trades_.time_sum, trades_.time_size);
    row.ratio(trades_.count_sum, trades_.count_size);
    row.real(std::sqrt(to_double(returns_.time_sum) / RETURN_SCALE));
    row.real(std::sqrt(to_double(returns_.count_sum) / RETURN_SCALE));
    row.real(static_cast<double>(trades_.size()) * 1e9 / static_cast<double>(spec_.window_ns));
    row.integer(age_ns(now_ns, depth_ns_));
    row.integer(age_ns(now_ns, trades_.newest_ns));
    row.integer(static_cast<int128_t>(now_ns) - break_ns_ < spec_.window_ns);
    row.integer(ofi_.since_break < spec_.window_events);
    row.integer(trades_.since_break < spec_.window_events);
    return row.take();
  }

 private:
  void on_touch(int64_t at_ns, const Touch& touch) {
    const double mid = weighted_mid(touch.bid, touch.ask);
    if (has_touch_) {
      ofi_.roll_update(at_ns, order_flow(touch_, touch));
      returns_.roll_update(at_ns, squared_return(weighted_mid_, mid));
    }
    has_touch_ = true;
    touch_ = touch;
    weighted_mid_ = mid;
  }

  void read_book(Ladder& ladder, Row& row) const {
    int128_t bid_lots = 0, ask_lots = 0;
    ladder.bids.top(spec_.obi_levels, [&](const Level& level) { bid_lots += level.lots; });
    ladder.asks.top(spec_.obi_levels, [&](const Level& level) { ask_lots += level.lots; });
    row.ratio(bid_lots - ask_lots, bid_lots + ask_lots);
    Touch touch;
    if (ladder.touch(touch)) {
      row.real(spread_bps(touch.bid, touch.ask));
      row.real(weighted_mid(touch.bid, touch.ask));
    } else {
      row.none();
      row.none();
    }
  }

  FeatureSpec spec_;
  Window<false> ofi_, returns_;
  Window<true> trades_;
  bool has_touch_ = false;
  Touch touch_{};
  double weighted_mid_ = 0.0;
  int64_t break_ns_ = -1, depth_ns_ = -1;
};

// -- JSON: strict, as msgspec reads it ------------------------------------------------------------
//
// The bytes of a `bytes` or `bytearray` are followed by a NUL, which no JSON text may hold outside
// or inside a string: it ends every loop below, so that only the very end asks where the end is.

constexpr int NESTING_MAX = 256;
constexpr std::ptrdiff_t INTEGER_LENGTH_MAX = 4300;  // Python reads no longer ones, by default

const char* skip_space(const char* p) {
  while (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r') ++p;
  return p;
}

// The length of the UTF-8 character at p, 0 if it is none (overlong, surrogate, past U+10FFFF).
int utf8_length(const char* p) {
  const auto byte = [p](int i) { return static_cast<unsigned>(static_cast<unsigned char>(p[i])); };
  const auto is_tail = [&byte](int i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first >= 0xC2 && first <= 0xDF) return is_tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!is_tail(1) || !is_tail(2)) return 0;
    if (first == 0xE0 && byte(1) < 0xA0) return 0;
    if (first == 0xED && byte(1) > 0x9F) return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!is_tail(1) || !is_tail(2) || !is_tail(3)) return 0;
    if (first == 0xF0 && byte(1) < 0x90) return 0;
    if (first == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

// Four hexadecimal digits; -1 if they are not.
int32_t read_hex4(const char* p) {
  int32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned digit = digit_of(p[i]);
    const unsigned letter = (static_cast<unsigned char>(p[i]) | 0x20U) - 'a';
    if (digit >= 10 && letter >= 6) return -1;
    value = value * 16 + static_cast<int32_t>(digit < 10 ? digit : letter + 10);
  }
  return value;
}

// Reads the escape whose backslash is at p: its character, and in `next` where it ends; -1 if it
// is none, as is a surrogate without its other half.
int32_t read_escape(const char* p, const char*& next) {
  static constexpr char LETTERS[] = "\"\\/bfnrt";
  static constexpr char MEANINGS[] = "\"\\/\b\f\n\r\t";
  next = p + 2;
  if (p[1] != 'u') {
    const char* const found = p[1] == '\0' ? nullptr : std::strchr(LETTERS, p[1]);
    return found == nullptr ? -1 : MEANINGS[found - LETTERS];
  }
  const int32_t unit = read_hex4(p + 2);
  next = p + 6;
  if (unit < 0xD800 || unit > 0xDFFF) return unit;
  if (unit > 0xDBFF || p[6] != '\\' || p[7] != 'u') return -1;
  const int32_t low = read_hex4(p + 8);
  if (low < 0xDC00 || low > 0xDFFF) return -1;
  next = p + 12;
  return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

bool is_plain(char c) {
  const unsigned char u = static_cast<unsigned char>(c);
  return u >= 0x20 && u < 0x80 && u != '"' && u != '\\';
}

// From behind the opening quote to the closing one; nullptr if the string is malformed.
const char* skip_text(const char* p, bool& has_escape) {
  for (;;) {
    while (is_plain(*p)) ++p;
    if (*p == '"') return p;
    if (*p == '\\') {
      has_escape = true;
      if (read_escape(p, p) < 0) return nullptr;
      continue;
    }
    const int length = utf8_length(p);
    if (length == 0) return nullptr;
    p += length;
  }
}

void append_utf8(int32_t code, std::string& out) {
  const auto put = [&out](int32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | (code >> 6));
  } else {
    if (code < 0x10000) {
      put(0xE0 | (code >> 12));
    } else {
      put(0xF0 | (code >> 18));
      put(0x80 | ((code >> 12) & 0x3F));
    }
    put(0x80 | ((code >> 6) & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

// The text of a string that skip_text has passed.
void unescape(const char* p, const char* end, std::string& out) {
  out.clear();
  while (p < end) {
    if (*p == '\\') {
      append_utf8(read_escape(p, p), out);
    } else {
      out.push_back(*p++);
    }
  }
}

enum class Kind : uint8_t {
  ABSENT, TEXT, INTEGER, REAL, TRUE_, FALSE_, NULL_, ARRAY, LEVELS, OBJECT
};

struct Token {
  Kind kind = Kind::ABSENT;
  bool has_escape = false;
  const char* begin = nullptr;  // TEXT: without the quotes
  const char* end = nullptr;
};

// Whether a number with a fraction or an exponent is past the largest double.
bool is_past_double(const char* p, const char* end) {
  constexpr int64_t EXPONENT_MAX = 1000000000;  // beyond any text's length
  if (*p == '-') ++p;
  const char* const mantissa = p;
  int64_t magnitude = 0;  // of the first digit that is not 0: 10**(magnitude - 1)
  bool has_digit = false, in_fraction = false;
  for (; p < end && (*p | 0x20) != 'e'; ++p) {
    if (*p == '.') {
      in_fraction = true;
      continue;
    }
    has_digit = has_digit || *p != '0';
    if (has_digit && !in_fraction) ++magnitude;
    if (!has_digit && in_fraction) --magnitude;
  }
  if (!has_digit) return false;
  int64_t exponent = 0;
  if (p < end) {
    ++p;
    const bool is_negative = *p == '-';
    if (*p == '-' || *p == '+') ++p;
    for (; p < end; ++p) exponent = std::min(EXPONENT_MAX, exponent * 10 + digit_of(*p));
    if (is_negative) exponent = -exponent;
  }
  magnitude += exponent;
  if (magnitude < 300) return false;
  if (magnitude > 310) return true;
  double value = 0.0;
  return std::from_chars(mantissa, end, value).ec == std::errc::result_out_of_range;
}

const char* skip_number(const char* p, Kind& kind) {
  const char* const begin = p;
  kind = Kind::INTEGER;
  if (*p == '-') ++p;
  if (digit_of(*p) >= 10) return nullptr;
  if (*p == '0') {
    ++p;
  } else {
    while (digit_of(*p) < 10) ++p;
  }
  if (*p == '.') {
    kind = Kind::REAL;
    if (digit_of(*++p) >= 10) return nullptr;
    while (digit_of(*p) < 10) ++p;
  }
  if (*p == 'e' || *p == 'E') {
    kind = Kind::REAL;
    ++p;
    if (*p == '+' || *p == '-') ++p;
    if (digit_of(*p) >= 10) return nullptr;
    while (digit_of(*p) < 10) ++p;
  }
  if (kind == Kind::INTEGER) return p - begin > INTEGER_LENGTH_MAX ? nullptr : p;
  return is_past_double(begin, p) ? nullptr : p;
}

const char* skip_word(const char* p, const char* word) {
  for (; *word != '\0'; ++word, ++p) {
    if (*p != *word) return nullptr;
  }
  return p;
}

// A value that is neither object nor array; nullptr if it is malformed.
const char* read_scalar(const char* p, Token& token) {
  token = {Kind::TEXT, false, p, nullptr};
  const char* next = nullptr;
  switch (*p) {
    case '"':
      token.begin = p + 1;
      token.end = skip_text(p + 1, token.has_escape);
      return token.end == nullptr ? nullptr : token.end + 1;
    case 't':
      token.kind = Kind::TRUE_;
      next = skip_word(p, "true");
      break;
    case 'f':
      token.kind = Kind::FALSE_;
      next = skip_word(p, "false");
      break;
    case 'n':
      token.kind = Kind::NULL_;
      next = skip_word(p, "null");
      break;
    default:
      next = skip_number(p, token.kind);
  }
  token.end = next;
  return next;
}

// `"key" :`, from its quote to its value; nullptr if it is malformed.
const char* skip_key(const char* p) {
  bool has_escape = false;
  if (*p != '"') return nullptr;
  p = skip_text(p + 1, has_escape);
  if (p == nullptr) return nullptr;
  p = skip_space(p + 1);
  return *p == ':' ? skip_space(p + 1) : nullptr;
}

// The brackets that are open, as bits: which of them are objects.
class Brackets {
 public:
  bool open(int depth, bool is_object) {
    if (depth > NESTING_MAX) return false;
    const uint64_t bit = uint64_t{1} << (depth % 64);
    uint64_t& word = words_[static_cast<size_t>(depth / 64)];
    word = is_object ? word | bit : word & ~bit;
    return true;
  }
  bool is_object(int depth) const {
    return (words_[static_cast<size_t>(depth / 64)] >> (depth % 64) & 1) != 0;
  }

 private:
  std::array<uint64_t, NESTING_MAX / 64 + 1> words_{};
};

// Any value, with no recursion; `depth` counts the brackets open around it. nullptr if malformed.
const char* skip_value(const char* p, const int depth) {
  Brackets brackets;
  int open = depth;
  for (;;) {
    if (*p == '{' || *p == '[') {  // enter
      const bool is_object = *p == '{';
      if (!brackets.open(++open, is_object)) return nullptr;
      p = skip_space(p + 1);
      if (*p != (is_object ? '}' : ']')) {
        if (is_object && (p = skip_key(p)) == nullptr) return nullptr;
        continue;
      }
    } else {
      Token token;
      p = read_scalar(p, token);
      if (p == nullptr) return nullptr;
      if (open == depth) return p;
      p = skip_space(p);
    }
    while (*p == (brackets.is_object(open) ? '}' : ']')) {  // leave
      ++p;
      if (--open == depth) return p;
      p = skip_space(p);
    }
    if (*p != ',') return nullptr;
    p = skip_space(p + 1);
    if (brackets.is_object(open) && (p = skip_key(p)) == nullptr) return nullptr;
  }
}

// -- codec.py -------------------------------------------------------------------------------------

constexpr int64_t SEQ_MAX = INT64_MAX;
constexpr std::ptrdiff_t INT64_DIGITS = 19;
constexpr int64_t NS_PER_MS = 1000000;

struct Scale {
  int64_t price_decimals = 0;
  int64_t size_decimals = 0;

  Scale finest(const Scale& other) const {
    return {std::max(price_decimals, other.price_decimals),
            std::max(size_decimals, other.size_decimals)};
  }
};

enum Field : uint8_t {
  EVENT, DATA, SYMBOL, EVENT_MS, FIRST_SEQ, LAST_SEQ, PREVIOUS_SEQ, BIDS, ASKS, TRADE_ID, PRICE,
  SIZE, MAKER, FIELD_COUNT, UNKNOWN
};

enum class Shape { EVENT, SNAPSHOT };

Field event_field(const char* key, std::ptrdiff_t length) {
  if (length == 2 && key[0] == 'p' && key[1] == 'u') return PREVIOUS_SEQ;
  if (length == 4 && std::memcmp(key, "data", 4) == 0) return DATA;
  if (length != 1) return UNKNOWN;
  switch (key[0]) {
    case 'e': return EVENT;
    case 's': return SYMBOL;
    case 'E': return EVENT_MS;
    case 'U': return FIRST_SEQ;
    case 'u': return LAST_SEQ;
    case 'b': return BIDS;
    case 'a': return ASKS;
    case 't': return TRADE_ID;
    case 'p': return PRICE;
    case 'q': return SIZE;
    case 'm': return MAKER;
    default: return UNKNOWN;
  }
}

Field snapshot_field(const char* key, std::ptrdiff_t length) {
  if (length == 4 && std::memcmp(key, "bids", 4) == 0) return BIDS;
  if (length == 4 && std::memcmp(key, "asks", 4) == 0) return ASKS;
  if (length == 12 && std::memcmp(key, "lastUpdateId", 12) == 0) return LAST_SEQ;
  return UNKNOWN;
}

// -- digits, eight at a time

template <class Word>
Word load(const char* p) {
  Word word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

uint64_t load8(const char* p) { return load<uint64_t>(p); }

constexpr uint64_t each_byte(uint8_t byte) { return ~uint64_t{0} / 0xFF * byte; }

// The first `count` of eight bytes; all of them for more.
constexpr uint64_t first_bytes(size_t count) {
  return count >= 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * count) - 1;
}

// The high bits of bytes above 9, at least of the first such byte.
inline uint64_t beyond_nine(uint64_t bytes) {
  return ((bytes + each_byte(0x80 - 10)) | bytes) & each_byte(0x80);
}

// The number of eight digits, the first of them in the lowest byte.
inline uint64_t eight_digits(uint64_t digits) {
  digits = (digits * 10 + (digits >> 8)) & 0x00FF00FF00FF00FFU;
  digits = (digits * (100 * 65536 + 1) >> 16) & 0x0000FFFF0000FFFFU;
  return digits * (10000 * (uint64_t{1} << 32) + 1) >> 32;
}

// Goes along a text that is expected word by word.
class Cursor {
 public:
  Cursor(const char* begin, const char* end) : p_(begin), end_(end) {}

  const char* at() const { return p_; }
  bool is_at_end() const { return p_ == end_; }
  void go_to(const char* p) { p_ = p; }

  template <size_t SIZE>
  bool skip(const char (&text)[SIZE]) {
    return skip(text, SIZE - 1);
  }
  bool skip(const std::string& text) { return skip(text.data(), text.size()); }

  // An integer of 18 digits at most.
  bool integer(int64_t& out) {
    const char* const begin = p_;
    uint64_t value = 0;
    if (end_ - p_ >= 8) {
      const uint64_t digits = load8(p_) ^ each_byte('0');
      if (beyond_nine(digits) == 0) {
        value = eight_digits(digits);
        p_ += 8;
      }
    }
    for (unsigned digit; (digit = digit_of(*p_)) < 10; ++p_) value = value * 10 + digit;
    out = static_cast<int64_t>(value);
    const std::ptrdiff_t length = p_ - begin;
    return 0 < length && length <= DECIMALS_MAX && (*begin != '0' || length == 1);
  }

 private:
  // PERF: in line, the comparison with a known text is one of a few words.
  __attribute__((always_inline)) bool skip(const char* text, size_t length) {
    if (static_cast<size_t>(end_ - p_) < length || std::memcmp(p_, text, length) != 0) return false;
    p_ += length;
    return true;
  }

  const char* p_;
  const char* end_;
};

struct TextLevel {
  Number price;
  Number size;
};

// Levels as scratch: a vector would zero what is about to be written, frame by frame.
class LevelList {
 public:
  // Room for so many levels, with whatever values, as a place to write to.
  Level* room_for(size_t count) {
    if (storage_.size() < count) storage_.resize(count);
    return storage_.data();
  }
  void set_size(size_t size) { size_ = size; }
  size_t size() const { return size_; }
  Level* begin() { return storage_.data(); }
  Level* end() { return storage_.data() + size_; }
  const Level* begin() const { return storage_.data(); }
  const Level* end() const { return storage_.data() + size_; }

 private:
  std::vector<Level> storage_;
  size_t size_ = 0;
};

// One object's fields; the last of a repeated key counts.
struct Fields {
  std::array<Token, FIELD_COUNT> tokens;
  // Levels in ticks and lots of the core's scale, where a Token says LEVELS.
  LevelList bids, asks;
  // Levels that needed a second look, where a Token says ARRAY.
  std::vector<TextLevel> text_bids, text_asks;

  void clear() { tokens.fill(Token{}); }
  const Token& operator[](Field field) const { return tokens[field]; }
};

// Digits within a string at p, as units of 10**-decimals, up to behind the closing quote. nullptr
// for what needs a second look: finer than that, near the limits, escaped or malformed.
inline const char* read_units(const char* p, int64_t decimals, int64_t& out) {
  const char* const begin = p;
  uint64_t units = 0;
  unsigned digit;
  while ((digit = digit_of(*p)) < 10) {
    units = units * 10 + digit;
    ++p;
  }
  if (p == begin || p - begin + decimals > DECIMALS_MAX) return nullptr;
  int64_t missing = decimals;
  if (*p == '.') {
    const char* const fraction = ++p;
    while (missing != 0 && (digit = digit_of(*p)) < 10) {
      units = units * 10 + digit;
      ++p;
      --missing;
    }
    while (*p == '0') ++p;  // Binance pads to eight decimals
    if (p == fraction) return nullptr;
  }
  if (*p != '"') return nullptr;
  out = static_cast<int64_t>(units * static_cast<uint64_t>(power_of_ten(missing)));
  return p + 1;
}

// How numbers of one kind, prices or sizes, are written at present: so many digits before and
// behind the point.
class Form {
 public:
  // Takes the form of the number between begin and its closing quote.
  void learn(const char* begin, const char* quote, int64_t decimals) {
    const char* const point = skip_digits(begin, quote);
    const size_t whole = static_cast<size_t>(point - begin);
    is_known_ = quote - point > 1 && quote - point <= 9 && whole < 8 &&
                static_cast<int64_t>(whole) + decimals <= 8;
    if (!is_known_) return;
    whole_ = static_cast<uint8_t>(whole);
    fraction_ = static_cast<uint8_t>(quote - point - 1);
  }

  bool is_known() const { return is_known_; }
  size_t whole() const { return whole_; }
  size_t fraction() const { return fraction_; }
  size_t length() const { return whole_ + size_t{1} + fraction_; }

 private:
  bool is_known_ = false;
  uint8_t whole_ = 0, fraction_ = 0;
};

// Reads numbers of one form, eight bytes at a time.
class FormReader {
 public:
  FormReader(const Form& form, int64_t decimals)
      : whole_(form.whole()),
        length_(form.length()),
        whole_mask_(first_bytes(form.whole())),
        fraction_mask_(first_bytes(form.fraction())),
        surplus_mask_(fraction_mask_ & ~first_bytes(static_cast<size_t>(decimals))),
        shift_(form.is_known() ? 8 * (8 - form.whole() - static_cast<size_t>(decimals)) : 0) {}

  size_t length() const { return length_; }

  // The eight last digits of the number at p, of which 17 bytes can be read; sets bits in `faults`
  // if there is no number of this form.
  uint64_t digits(const char* p, uint64_t& faults) const {
    const uint64_t whole = (load8(p) ^ each_byte('0')) & whole_mask_;
    const uint64_t fraction = (load8(p + whole_ + 1) ^ each_byte('0')) & fraction_mask_;
    const uint64_t digits = (whole | fraction << 8 * whole_) << shift_;
    faults |= static_cast<uint64_t>(p[whole_] ^ '.') | beyond_nine(digits);
    faults |= fraction & surplus_mask_;  // zeros, or it is finer than a tick or lot
    return digits;
  }

 private:
  size_t whole_, length_;
  uint64_t whole_mask_, fraction_mask_, surplus_mask_;
  size_t shift_;
};

// What a book's last levels looked like.
struct Forms {
  Form price, size;
};

// Reads `["price","size"]`, level by level; nullptr for what needs a second look.
//
// PERF: nearly all levels are written as the one before was. Such a one takes 10 ns, with no branch
// but "is it"; a loop over its digits takes 14, finding the points with SSE2 too.
class LevelReader {
 public:
  LevelReader(const Forms& forms, const Scale& scale, const char* end)
      : forms_(forms), scale_(scale), end_(end), price_(forms.price, scale.price_decimals),
        size_(forms.size, scale.size_decimals) {
    set_sight();
  }

  const Forms& forms() const { return forms_; }

  const char* read(const char* p, Level& out) {
    if (end_ - p >= sight_) {
      const char* const price = p + 2;
      const char* const price_end = price + price_.length();
      const char* const size = price_end + 3;
      const char* const size_end = size + size_.length();
      uint64_t faults = load<uint16_t>(p) ^ load<uint16_t>("[\"");
      faults |= (load<uint32_t>(price_end) ^ load<uint32_t>("\",\"")) & 0xFFFFFFU;
      faults |= static_cast<uint64_t>(load<uint16_t>(size_end) ^ load<uint16_t>("\"]"));
      const uint64_t price_digits = price_.digits(price, faults);
      const uint64_t size_digits = size_.digits(size, faults);
      if (faults == 0 && price_digits != 0) {
        out = {static_cast<int64_t>(eight_digits(price_digits)),
               static_cast<int64_t>(eight_digits(size_digits))};
        return size_end + 2;
      }
    }
    return read_other(p, out);
  }

 private:
  // As it comes; the next one is expected to look like it.
  const char* read_other(const char* p, Level& out) {
    if (p[0] != '[' || p[1] != '"') return nullptr;
    const char* const price = p + 2;
    p = read_units(price, scale_.price_decimals, out.ticks);
    if (p == nullptr || out.ticks == 0 || p[0] != ',' || p[1] != '"') return nullptr;
    const char* const price_quote = p - 1;
    const char* const size = p + 2;
    p = read_units(size, scale_.size_decimals, out.lots);
    if (p == nullptr || *p != ']') return nullptr;
    forms_.price.learn(price, price_quote, scale_.price_decimals);
    forms_.size.learn(size, p - 1, scale_.size_decimals);
    if (forms_.price.is_known()) price_ = FormReader(forms_.price, scale_.price_decimals);
    if (forms_.size.is_known()) size_ = FormReader(forms_.size, scale_.size_decimals);
    set_sight();
    return p + 1;
  }

  void set_sight() {
    constexpr std::ptrdiff_t NEVER = PTRDIFF_MAX;
    const bool is_known = forms_.price.is_known() && forms_.size.is_known();
    const size_t behind_size = std::max(forms_.size.whole() + 9, size_.length() + 2);
    sight_ = is_known ? static_cast<std::ptrdiff_t>(5 + price_.length() + behind_size) : NEVER;
  }

  Forms forms_;
  Scale scale_;
  const char* end_;
  FormReader price_, size_;
  std::ptrdiff_t sight_;
};

// The inner loop: `[["price","size"],...]` without spaces. nullptr for any other form, which is
// then read again with all care. The side is told what is coming.
const char* read_levels(const char* p, const char* end, const Scale& scale, Forms& forms,
                        const Side& side, LevelList& out) {
  constexpr std::ptrdiff_t LEVEL_LENGTH_MIN = 9;  // ["1","2"]
  Level* level = out.room_for(static_cast<size_t>((end - p) / LEVEL_LENGTH_MIN + 1));
  out.set_size(0);
  ++p;
  if (*p == ']') return p + 1;
  LevelReader reader(forms, scale, end);
  while ((p = reader.read(p, *level)) != nullptr) {
    side.prefetch(level->ticks);
    if (*p != ',') break;
    ++p;
    ++level;
  }
  if (p == nullptr || *p != ']') return nullptr;
  out.set_size(static_cast<size_t>(level + 1 - out.begin()));
  forms = reader.forms();
  return p + 1;
}

struct Delta {
  DeltaSpan span;
  int64_t event_ns;
};

enum class TradeKind { NONE, TRADE, AGG_TRADE };

struct Trade {
  TradeKind kind;
  int64_t trade_id;
  Number size;
  bool aggressor_sold;
};

// Reads the frames and bodies of Binance. All of it goes to scratch first: a core changes only when
// everything has been understood. One reader serves all cores, under the GIL.
class Reader {
 public:
  // The bytes as an object's fields; false if they are malformed. `is_object` tells whether they
  // were an object at all, `fields()` are those of the event within.
  bool read(const char* begin, const char* end, const Scale& scale, Shape shape, Forms& forms,
            const Ladder& levels) {
    end_ = end;
    sides_ = &levels;
    scale_ = scale;
    shape_ = shape;
    forms_ = &forms;
    const char* p = skip_space(begin);
    is_object_ = *p == '{';
    p = is_object_ ? read_object(p, 0, outer_, &inner_) : skip_value(p, 0);
    if (p == nullptr || skip_space(p) != end) return false;
    event_ = &outer_;
    if (is_object_ && outer_[EVENT].kind == Kind::ABSENT && outer_[DATA].kind != Kind::ABSENT) {
      is_object_ = outer_[DATA].kind == Kind::OBJECT;
      event_ = &inner_;
    }
    return true;
  }

  // The frame if it is a book's own and spelled as Binance spells them: its keys in that order,
  // without spaces, and numbers that need no second look. OTHER for all else, which `read` reads.
  //
  // PERF: 75 ns a frame besides its levels, where `read` takes 180.
  FrameKind read_plain(const char* begin, const char* end, const Scale& scale, Forms& forms,
                       const Ladder& levels, const std::string& symbol_text, Delta& delta,
                       Trade& trade) {
    end_ = end;
    sides_ = &levels;
    scale_ = scale;
    forms_ = &forms;
    event_ = &outer_;
    Cursor cursor(begin, end);
    const bool is_combined = cursor.skip("{\"stream\":\"");
    if (is_combined) {
      while (is_plain(*cursor.at())) cursor.go_to(cursor.at() + 1);
      if (!cursor.skip("\",\"data\":")) return FrameKind::OTHER;
    }
    FrameKind kind = FrameKind::OTHER;
    if (cursor.skip("{\"e\":\"depthUpdate\",\"E\":")) {
      if (plain_delta(cursor, symbol_text, delta)) kind = FrameKind::DELTA;
    } else if (cursor.skip("{\"e\":\"trade\",\"E\":")) {
      trade.kind = TradeKind::TRADE;
      if (plain_trade(cursor, symbol_text, trade)) kind = FrameKind::TRADE;
    } else if (cursor.skip("{\"e\":\"aggTrade\",\"E\":")) {
      trade.kind = TradeKind::AGG_TRADE;
      if (plain_trade(cursor, symbol_text, trade)) kind = FrameKind::TRADE;
    }
    const bool is_whole = (!is_combined || cursor.skip("}")) && cursor.is_at_end();
    return is_whole ? kind : FrameKind::OTHER;
  }

  bool is_object() const { return is_object_; }
  const Token& operator[](Field field) const { return (*event_)[field]; }
  Fields& fields() { return *event_; }

  bool is_text(Field field, const char* text, size_t length) {
    const Token& token = (*event_)[field];
    if (token.kind != Kind::TEXT) return false;
    const auto [begin, end] = text_of(token);
    return static_cast<size_t>(end - begin) == length && std::memcmp(begin, text, length) == 0;
  }

  // An integer from 0 to limit; false for anything else.
  bool seq(Field field, int64_t limit, int64_t& out) const {
    const Token& token = (*event_)[field];
    if (token.kind != Kind::INTEGER) return false;
    const bool is_negative = *token.begin == '-';
    if (token.end - token.begin > INT64_DIGITS + is_negative) return false;
    uint64_t value = 0;
    for (const char* p = token.begin + is_negative; p < token.end; ++p) {
      value = value * 10 + digit_of(*p);
    }
    if (value > static_cast<uint64_t>(limit) || (is_negative && value != 0)) return false;
    out = static_cast<int64_t>(value);
    return true;
  }

  bool number(Field field, Number& out) { return number((*event_)[field], out); }

  // Makes sure that the levels of both sides have been read; false if they are malformed.
  bool levels() {
    return levels((*event_)[BIDS], event_->text_bids) && levels((*event_)[ASKS], event_->text_asks);
  }

 private:
  bool plain_delta(Cursor& cursor, const std::string& symbol_text, Delta& delta) {
    DeltaSpan& span = delta.span;
    int64_t event_ms = 0, ignored = 0;
    if (!cursor.integer(event_ms) || event_ms > SEQ_MAX / NS_PER_MS) return false;
    delta.event_ns = event_ms * NS_PER_MS;
    if (cursor.skip(",\"T\":") && !cursor.integer(ignored)) return false;
    if (!cursor.skip(symbol_text)) return false;
    if (!cursor.skip(",\"U\":") || !cursor.integer(span.first_seq)) return false;
    if (!cursor.skip(",\"u\":") || !cursor.integer(span.last_seq)) return false;
    if (span.first_seq > span.last_seq) return false;
    span.previous_seq = -1;
    if (cursor.skip(",\"pu\":") && !cursor.integer(span.previous_seq)) return false;
    return cursor.skip(",\"b\":[") && plain_levels(cursor, BIDS, outer_.bids) &&
           cursor.skip(",\"a\":[") && plain_levels(cursor, ASKS, outer_.asks) && cursor.skip("}");
  }

  const Side& side_of(Field field) const { return field == BIDS ? sides_->bids : sides_->asks; }

  bool plain_levels(Cursor& cursor, Field field, LevelList& out) {
    const char* const begin = cursor.at() - 1;
    const char* const next = read_levels(begin, end_, scale_, *forms_, side_of(field), out);
    if (next == nullptr) return false;
    outer_.tokens[field].kind = Kind::LEVELS;
    cursor.go_to(next);
    return true;
  }

  bool plain_trade(Cursor& cursor, const std::string& symbol_text, Trade& trade) {
    const bool is_agg = trade.kind == TradeKind::AGG_TRADE;
    int64_t ignored = 0, price = 0;
    if (!cursor.integer(ignored) || !cursor.skip(symbol_text)) return false;
    if (!(is_agg ? cursor.skip(",\"a\":") : cursor.skip(",\"t\":"))) return false;
    if (!cursor.integer(trade.trade_id)) return false;
    trade.size.decimals = scale_.size_decimals;
    if (!cursor.skip(",\"p\":\"") || !plain_units(cursor, scale_.price_decimals, price) ||
        !cursor.skip(",\"q\":\"") ||
        !plain_units(cursor, scale_.size_decimals, trade.size.mantissa)) {
      return false;
    }
    if (is_agg) {
      if (!cursor.skip(",\"f\":") || !cursor.integer(ignored)) return false;
      if (!cursor.skip(",\"l\":") || !cursor.integer(ignored)) return false;
    }
    if (!cursor.skip(",\"T\":") || !cursor.integer(ignored)) return false;
    trade.aggressor_sold = cursor.skip(",\"m\":true");
    if (!trade.aggressor_sold && !cursor.skip(",\"m\":false")) return false;
    if (cursor.skip(",\"M\":") && !cursor.skip("true") && !cursor.skip("false")) return false;
    return price != 0 && trade.size.mantissa != 0 && cursor.skip("}");
  }

  // A price or size that is not 0, to behind its closing quote.
  static bool plain_units(Cursor& cursor, int64_t decimals, int64_t& out) {
    const char* const next = read_units(cursor.at(), decimals, out);
    if (next == nullptr) return false;
    cursor.go_to(next);
    return true;
  }

  std::pair<const char*, const char*> text_of(const Token& token) {
    if (!token.has_escape) return {token.begin, token.end};
    unescape(token.begin, token.end, text_);
    return {text_.data(), text_.data() + text_.size()};
  }

  bool number(const Token& token, Number& out) {
    if (token.kind != Kind::TEXT) return false;
    const auto [begin, end] = text_of(token);
    return stevie::read(begin, end, out);
  }

  Field field_of(const char* begin, const char* end) const {
    return shape_ == Shape::EVENT ? event_field(begin, end - begin)
                                  : snapshot_field(begin, end - begin);
  }

  // An object from its brace; nullptr if it is malformed. `inner` takes what stands under "data".
  const char* read_object(const char* p, int depth, Fields& fields, Fields* inner) {
    fields.clear();
    p = skip_space(p + 1);
    if (*p == '}') return p + 1;
    for (;;) {
      Token key;
      if (*p != '"' || (p = read_scalar(p, key)) == nullptr) return nullptr;
      const auto [begin, end] = text_of(key);
      const Field field = field_of(begin, end);
      p = skip_space(p);
      if (*p != ':') return nullptr;
      p = read_value(skip_space(p + 1), depth + 1, field, fields, inner);
      if (p == nullptr) return nullptr;
      p = skip_space(p);
      if (*p == '}') return p + 1;
      if (*p != ',') return nullptr;
      p = skip_space(p + 1);
    }
  }

  const char* read_value(const char* p, int depth, Field field, Fields& fields, Fields* inner) {
    Token ignored;
    Token& token = field == UNKNOWN ? ignored : fields.tokens[field];
    if (*p == '{' && field == DATA && inner != nullptr) {
      token = {Kind::OBJECT, false, p, nullptr};
      return read_object(p, depth, *inner, nullptr);
    }
    if (*p == '[' && (field == BIDS || field == ASKS)) {
      LevelList& list = field == BIDS ? fields.bids : fields.asks;
      const char* const next = read_levels(p, end_, scale_, *forms_, side_of(field), list);
      if (next != nullptr) {
        token = {Kind::LEVELS, false, p, next};
        return next;
      }
    }
    if (*p != '{' && *p != '[') return read_scalar(p, token);
    token = {*p == '{' ? Kind::OBJECT : Kind::ARRAY, false, p, nullptr};
    return token.end = skip_value(p, depth);
  }

  bool levels(const Token& token, std::vector<TextLevel>& out) {
    if (token.kind == Kind::LEVELS) return true;
    if (token.kind != Kind::ARRAY) return false;
    out.clear();
    for (const char* p = first_item(token.begin); p != nullptr; p = next_item(p)) {
      TextLevel level;
      if (!read_level(p, level)) return false;
      out.push_back(level);
    }
    return true;
  }

  // [price, size, and what else there may be]
  bool read_level(const char* p, TextLevel& level) {
    Token price, size;
    if (*p != '[' || (p = first_item(p)) == nullptr || *p != '"') return false;
    read_scalar(p, price);
    if ((p = next_item(p)) == nullptr || *p != '"') return false;
    read_scalar(p, size);
    return number(price, level.price) && number(size, level.size) && level.price.mantissa != 0;
  }

  // Items of an array that is known to be well-formed; nullptr behind the last.
  static const char* first_item(const char* p) {
    p = skip_space(p + 1);
    return *p == ']' ? nullptr : p;
  }
  static const char* next_item(const char* p) {
    p = skip_space(skip_value(p, 0));
    return *p == ',' ? skip_space(p + 1) : nullptr;
  }

  const char* end_ = nullptr;
  Scale scale_;
  Shape shape_ = Shape::EVENT;
  Forms* forms_ = nullptr;
  const Ladder* sides_ = nullptr;  // those that the levels are going to
  bool is_object_ = false;
  Fields outer_, inner_;
  Fields* event_ = &outer_;
  std::string text_;
};


bool read_delta(Reader& reader, Delta& delta) {
  DeltaSpan& span = delta.span;
  int64_t event_ms = 0;
  span.previous_seq = -1;
  if (!reader.seq(FIRST_SEQ, SEQ_MAX, span.first_seq)) return false;
  if (!reader.seq(LAST_SEQ, SEQ_MAX, span.last_seq) || span.first_seq > span.last_seq) return false;
  if (reader[SYMBOL].kind != Kind::TEXT) return false;
  if (reader[PREVIOUS_SEQ].kind != Kind::ABSENT &&
      !reader.seq(PREVIOUS_SEQ, SEQ_MAX, span.previous_seq)) {
    return false;
  }
  if (reader[EVENT_MS].kind != Kind::ABSENT &&
      !reader.seq(EVENT_MS, SEQ_MAX / NS_PER_MS, event_ms)) {
    return false;
  }
  delta.event_ns = event_ms * NS_PER_MS;
  return reader.levels();
}

// The undocumented USD-M @trade announces liquidations with zeros: those are OTHER.
FrameKind read_trade(Reader& reader, Trade& trade) {
  const Field id = trade.kind == TradeKind::TRADE ? TRADE_ID : ASKS;
  Number price;
  const Kind maker = reader[MAKER].kind;
  const bool is_well_formed = reader[SYMBOL].kind == Kind::TEXT &&
                              reader.seq(id, SEQ_MAX, trade.trade_id) &&
                              reader.number(PRICE, price) && reader.number(SIZE, trade.size) &&
                              (maker == Kind::TRUE_ || maker == Kind::FALSE_);
  if (!is_well_formed) return FrameKind::MALFORMED;
  if (trade.size.mantissa == 0) return FrameKind::OTHER;
  trade.aggressor_sold = maker == Kind::TRUE_;
  return price.mantissa == 0 ? FrameKind::MALFORMED : FrameKind::TRADE;
}

// -- what crosses the border ----------------------------------------------------------------------

// An error of the caller's, to be raised in Python.
struct Refusal {
  PyObject* type;
  const char* text;
};

struct Bytes {
  const char* begin;
  const char* end;
};

// Asks for the memory of the frames to come: of the next one all, since its length is known, of the
// one after it the head.
void prefetch_frames(PyObject* next, const PyObject* second) {
  if (!PyBytes_Check(next)) return;
  constexpr Py_ssize_t LINE = 64, LENGTH_MAX = 2048;
  const char* const begin = reinterpret_cast<const char*>(next);
  const Py_ssize_t length = std::min(Py_SIZE(next), LENGTH_MAX);
  for (Py_ssize_t at = LINE; at < length + LINE; at += LINE) __builtin_prefetch(begin + at);
  __builtin_prefetch(second);
}

Bytes bytes_of(PyObject* object) {
  if (PyBytes_Check(object)) {
    return {PyBytes_AS_STRING(object), PyBytes_AS_STRING(object) + PyBytes_GET_SIZE(object)};
  }
  if (PyByteArray_Check(object)) {
    return {PyByteArray_AS_STRING(object),
            PyByteArray_AS_STRING(object) + PyByteArray_GET_SIZE(object)};
  }
  throw Refusal{PyExc_TypeError, "expected bytes or bytearray"};
}

int64_t integer_of(PyObject* object) {
  if (!PyLong_Check(object)) throw Refusal{PyExc_TypeError, "expected an int"};
  const int64_t value = PyLong_AsLongLong(object);
  if (value == -1 && PyErr_Occurred() != nullptr) throw Refusal{nullptr, nullptr};
  return value;
}

// A list or a tuple; nothing here runs Python code that could change it meanwhile.
class Sequence {
 public:
  explicit Sequence(PyObject* object) : object_(object) {
    if (!PyList_Check(object) && !PyTuple_Check(object)) {
      throw Refusal{PyExc_TypeError, "expected a list or a tuple"};
    }
  }
  int64_t size() const { return PySequence_Fast_GET_SIZE(object_); }
  PyObject* operator[](int64_t index) const { return PySequence_Fast_GET_ITEM(object_, index); }

 private:
  PyObject* object_;
};

// int64 in a row, in an array('l') or whatever else holds them.
class IntegerBuffer {
 public:
  explicit IntegerBuffer(PyObject* object) {
    if (PyObject_GetBuffer(object, &view_, PyBUF_ND | PyBUF_FORMAT) != 0) {
      throw Refusal{nullptr, nullptr};
    }
    const char* const format = view_.format == nullptr ? "B" : view_.format;
    const bool is_int64 = view_.itemsize == sizeof(int64_t) && view_.ndim == 1 &&
                          (std::strcmp(format, "l") == 0 || std::strcmp(format, "q") == 0);
    const bool is_aligned = view_.len == 0 ||  // then it points anywhere
                            reinterpret_cast<uintptr_t>(view_.buf) % alignof(int64_t) == 0;
    if (!is_int64 || !is_aligned) {
      PyBuffer_Release(&view_);
      throw Refusal{PyExc_ValueError, "expected int64 in a flat buffer"};
    }
  }
  IntegerBuffer(const IntegerBuffer&) = delete;
  IntegerBuffer& operator=(const IntegerBuffer&) = delete;
  ~IntegerBuffer() { PyBuffer_Release(&view_); }

  int64_t size() const { return view_.shape[0]; }
  const int64_t* begin() const { return static_cast<const int64_t*>(view_.buf); }

 private:
  Py_buffer view_{};
};

// Levels in a row, wherever they are.
struct LevelSpan {
  const Level* first;
  int64_t count;

  int64_t size() const { return count; }
  const Level* begin() const { return first; }
  const Level* end() const { return first + count; }
};

LevelSpan span_of(const LevelList& list) {
  return {list.begin(), static_cast<int64_t>(list.size())};
}

// A buffer of ticks, lots, ticks, lots, ...; refused if no book can hold them.
LevelSpan levels_of(const IntegerBuffer& buffer) {
  if (buffer.size() % 2 != 0) throw Refusal{PyExc_ValueError, "expected pairs of int64"};
  const LevelSpan levels{reinterpret_cast<const Level*>(buffer.begin()), buffer.size() / 2};
  static_assert(UNITS_MAX == (int64_t{1} << 61) - 1, "three bits tell what does not fit");
  uint64_t faults = 0;
  for (const Level& level : levels) {
    const uint64_t ticks = static_cast<uint64_t>(level.ticks);
    faults |= ticks | (ticks - 1) | static_cast<uint64_t>(level.lots);  // 0 ticks: all bits
  }
  if (faults >> 61 != 0) {
    throw Refusal{PyExc_ValueError, "expected ticks > 0 and lots >= 0 within 61 bits"};
  }
  return levels;
}

// One delta of a batch, as it lies in the buffer; HEAD_FIELDS in core.py.
struct Head {
  int64_t first_seq, last_seq, previous_seq, event_ns, at_ns, bid_count, ask_count;
};

// Deltas of any codec, one behind the other; refused as a whole if the counts are not those of the
// levels.
class DeltaBatch {
 public:
  DeltaBatch(const IntegerBuffer& heads, const LevelSpan& levels)
      : heads_(reinterpret_cast<const Head*>(heads.begin())),
        size_(heads.size() / FIELDS),
        next_(levels.begin()) {
    int64_t left = levels.size();
    bool is_whole = heads.size() % FIELDS == 0;
    for (int64_t i = 0; i < size_; ++i) {
      is_whole = is_whole && take(heads_[i].bid_count, left) && take(heads_[i].ask_count, left);
    }
    if (!is_whole || left != 0) {
      throw Refusal{PyExc_ValueError, "expected seven integers a delta, and its levels"};
    }
  }

  int64_t size() const { return size_; }
  const Head& operator[](int64_t index) const { return heads_[index]; }

  // The levels behind those already handed out.
  LevelSpan next(int64_t count) {
    const LevelSpan levels{next_, count};
    next_ += count;
    return levels;
  }

 private:
  static constexpr int64_t FIELDS = sizeof(Head) / sizeof(int64_t);

  static bool take(int64_t count, int64_t& left) {
    if (count < 0 || count > left) return false;
    left -= count;
    return true;
  }

  const Head* heads_;
  int64_t size_;
  const Level* next_;
};

// Nothing thrown gets past here.
template <class Body>
PyObject* guarded(Body body) noexcept {
  try {
    return body();
  } catch (const Refusal& refusal) {
    if (refusal.type != nullptr) PyErr_SetString(refusal.type, refusal.text);
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "the kernel failed");
  }
  return nullptr;
}

PyObject* code_of(Code code) { return PyLong_FromLongLong(static_cast<int64_t>(code)); }

Reader& shared_reader() {
  static Reader reader;  // scratch alone; as large as the largest body so far
  return reader;
}

bool is_decimals(int64_t decimals) { return 0 <= decimals && decimals <= DECIMALS_MAX; }

}  // namespace

// -- core.py and reference.py ---------------------------------------------------------------------

struct Book {
  Book(std::string symbol, SequenceRule sequence_rule, const Scale& first_scale,
       const FeatureSpec& features, uint64_t seed)
      : native_symbol(std::move(symbol)),
        symbol_text(",\"s\":\"" + native_symbol + "\""),
        is_symbol_plain(std::all_of(native_symbol.begin(), native_symbol.end(), is_plain)),
        rule(sequence_rule),
        scale(first_scale),
        levels(seed),
        windows(features) {}
  Book(const Book&) = delete;
  Book& operator=(const Book&) = delete;
  ~Book() {
    Py_XDECREF(view_type);
    Py_XDECREF(features_type);
    Py_XDECREF(number_error);
  }

  std::string native_symbol;
  std::string symbol_text;  // as it stands in a frame
  bool is_symbol_plain;     // and nothing in it is ever escaped
  SequenceRule rule;
  Scale scale;
  Forms forms;
  Ladder levels;
  FeatureState windows;
  Position position;
  int64_t snapshot_seq = -1;
  int64_t bid_floor = -1, ask_ceiling = -1;
  int64_t event_ns = 0;
  int64_t pause_applied = 0;
  int64_t frames = 0, applied = 0, applied_at_snapshot = 0, stale = 0;
  int64_t trades = 0, other = 0, malformed = 0;
  int64_t level_changes = 0, delete_unknown = 0;
  TradeKind trade_kind = TradeKind::NONE;
  int64_t trade_id = -1;
  PyTypeObject* view_type = nullptr;
  PyTypeObject* features_type = nullptr;
  PyObject* number_error = nullptr;

  // -- scale

  Scale factors(const Scale& to) const {
    return {power_of_ten(std::max(int64_t{0}, to.price_decimals - scale.price_decimals)),
            power_of_ten(std::max(int64_t{0}, to.size_decimals - scale.size_decimals))};
  }

  bool can_refine(const Scale& to) const {
    const Scale factor = factors(to);
    if (factor.price_decimals == 1 && factor.size_decimals == 1) return true;
    const Level bids = levels.bids.maxima(), asks = levels.asks.maxima();
    const int128_t ticks_max = std::max({bids.ticks, asks.ticks, bid_floor, ask_ceiling});
    const int128_t lots_max = std::max(bids.lots, asks.lots);
    return ticks_max * factor.price_decimals <= UNITS_MAX &&
           lots_max * factor.size_decimals <= UNITS_MAX;
  }

  // The caller has asked can_refine.
  void refine(const Scale& to) {
    const Scale factor = factors(to);
    if (factor.price_decimals == 1 && factor.size_decimals == 1) return;
    levels.bids.multiply(factor.price_decimals, factor.size_decimals);
    levels.asks.multiply(factor.price_decimals, factor.size_decimals);
    if (bid_floor > 0) bid_floor *= factor.price_decimals;
    if (ask_ceiling > 0) ask_ceiling *= factor.price_decimals;
    scale = scale.finest(to);
    forms = Forms();
    windows.on_rescale();
  }

  void forget_levels() {
    levels.bids.clear();
    levels.asks.clear();
    bid_floor = ask_ceiling = -1;
  }

  // -- from what was read to ticks and lots

  static Scale finest_of(const Token& token, const std::vector<TextLevel>& text, Scale finest) {
    if (token.kind != Kind::ARRAY) return finest;
    for (const TextLevel& level : text) {
      finest = finest.finest({level.price.decimals, level.size.decimals});
    }
    return finest;
  }

  Scale scale_for(Reader& reader) const {
    const Fields& fields = reader.fields();
    return finest_of(fields[ASKS], fields.text_asks,
                     finest_of(fields[BIDS], fields.text_bids, scale));
  }

  // Levels at `to`, whichever way they were read; false if a number does not fit.
  bool flatten(const Token& token, const std::vector<TextLevel>& text, const Scale& to,
               LevelList& out) const {
    if (token.kind == Kind::ARRAY) {
      Level* level = out.room_for(text.size());
      out.set_size(text.size());
      for (const TextLevel& from : text) {
        if (!rescale(from.price, to.price_decimals, level->ticks)) return false;
        if (!rescale(from.size, to.size_decimals, level->lots)) return false;
        ++level;
      }
      return true;
    }
    if (to.price_decimals == scale.price_decimals && to.size_decimals == scale.size_decimals) {
      return true;
    }
    for (Level& level : out) {
      const Number price{level.ticks, scale.price_decimals}, size{level.lots, scale.size_decimals};
      if (!rescale(price, to.price_decimals, level.ticks)) return false;
      if (!rescale(size, to.size_decimals, level.lots)) return false;
    }
    return true;
  }

  bool flatten(Reader& reader, const Scale& to) const {
    Fields& fields = reader.fields();
    return flatten(fields[BIDS], fields.text_bids, to, fields.bids) &&
           flatten(fields[ASKS], fields.text_asks, to, fields.asks);
  }

  // -- snapshots

  Code load_snapshot(const Bytes& body, int64_t level_limit, int64_t at_ns) {
    Reader& reader = shared_reader();
    int64_t seq = -1;
    const bool is_snapshot =
        reader.read(body.begin, body.end, scale, Shape::SNAPSHOT, forms, levels) &&
        reader.is_object() && reader.seq(LAST_SEQ, SEQ_MAX, seq) && reader.levels();
    if (!is_snapshot) return Code::MALFORMED;
    const Scale to = scale_for(reader);
    if (!flatten(reader, to)) return Code::MALFORMED;
    forget_levels();
    refine(to);
    return load_levels(seq, reader.fields().bids, reader.fields().asks, level_limit, at_ns);
  }

  Code load_levels(int64_t seq, const LevelList& bids, const LevelList& asks, int64_t level_limit,
                   int64_t at_ns) {
    levels.bids.replace(bids);
    levels.asks.replace(asks);
    const auto is_cheaper = [](const Level& a, const Level& b) { return a.ticks < b.ticks; };
    const auto fills = [level_limit](const LevelList& side) {
      return level_limit > 0 && level_limit <= static_cast<int64_t>(side.size());
    };
    bid_floor = fills(bids) ? std::min_element(bids.begin(), bids.end(), is_cheaper)->ticks : -1;
    ask_ceiling = fills(asks) ? std::max_element(asks.begin(), asks.end(), is_cheaper)->ticks : -1;
    snapshot_seq = seq;
    position = {seq, seq, true, -1};
    applied_at_snapshot = applied;
    windows.on_break(at_ns);
    return levels.is_crossed() ? Code::CROSSED : Code::OK;
  }

  // -- deltas and trades

  Code apply_levels(const Delta& delta, const LevelSpan& bids, const LevelSpan& asks,
                    int64_t at_ns) {
    switch (judge(rule, position, delta.span)) {
      case Verdict::GAP:
        return Code::GAP;
      case Verdict::STALE:
        ++stale;
        return Code::OK;
      case Verdict::APPLY:
        break;
    }
    set_side(levels.bids, bids);
    set_side(levels.asks, asks);
    position = {delta.span.first_seq, delta.span.last_seq, false, delta.span.previous_seq};
    event_ns = delta.event_ns;
    ++applied;
    Touch touch;
    const bool has_touch = levels.touch(touch);
    if (has_touch && touch.is_crossed()) return Code::CROSSED;
    windows.on_delta(at_ns, has_touch ? &touch : nullptr);
    return applied == pause_applied ? Code::PAUSED : Code::OK;
  }

  void set_side(Side& side, const LevelSpan& changes) {
    delete_unknown += side.set(changes);
    level_changes += changes.size();
  }

  // Asks for what each frame reads: of many books, another one's was last.
  void prefetch() {
    constexpr size_t LINE = 64;
    const char* const begin = reinterpret_cast<const char*>(this);
    for (size_t at = 0; at < sizeof *this; at += LINE) __builtin_prefetch(begin + at, 1);
    levels.bids.prefetch_top();
    levels.asks.prefetch_top();
    windows.prefetch();
  }

  // What a frame is, whosever; DELTA and TRADE only if they are this book's.
  FrameKind decode_frame(Reader& reader, const Bytes& frame, Delta& delta, Trade& trade) {
    if (is_symbol_plain) {
      const FrameKind plain = reader.read_plain(frame.begin, frame.end, scale, forms, levels,
                                                symbol_text, delta, trade);
      if (plain != FrameKind::OTHER) return plain;
    }
    if (!reader.read(frame.begin, frame.end, scale, Shape::EVENT, forms, levels)) {
      return FrameKind::MALFORMED;
    }
    if (!reader.is_object()) return FrameKind::OTHER;
    FrameKind kind = FrameKind::OTHER;
    if (reader.is_text(EVENT, "depthUpdate", 11)) {
      kind = read_delta(reader, delta) ? FrameKind::DELTA : FrameKind::MALFORMED;
    } else if (reader.is_text(EVENT, "trade", 5)) {
      trade.kind = TradeKind::TRADE;
      kind = read_trade(reader, trade);
    } else if (reader.is_text(EVENT, "aggTrade", 8)) {
      trade.kind = TradeKind::AGG_TRADE;
      kind = read_trade(reader, trade);
    }
    if (kind == FrameKind::MALFORMED || kind == FrameKind::OTHER) return kind;
    const bool is_ours = reader.is_text(SYMBOL, native_symbol.data(), native_symbol.size());
    return is_ours ? kind : FrameKind::OTHER;
  }

  Code apply_frame(const Bytes& frame, int64_t at_ns) {
    Reader& reader = shared_reader();
    Delta delta;
    Trade trade;
    switch (decode_frame(reader, frame, delta, trade)) {
      case FrameKind::DELTA:
        return apply_delta(reader, delta, at_ns);
      case FrameKind::TRADE:
        return apply_trade(trade, at_ns);
      case FrameKind::OTHER:
        ++other;
        return Code::OK;
      case FrameKind::MALFORMED:
        break;
    }
    return Code::MALFORMED;
  }

  Code apply_delta(Reader& reader, const Delta& delta, int64_t at_ns) {
    const Scale to = scale_for(reader);
    if (!flatten(reader, to) || !can_refine(to)) return Code::MALFORMED;
    refine(to);
    const Fields& fields = reader.fields();
    return apply_levels(delta, span_of(fields.bids), span_of(fields.asks), at_ns);
  }

  // A stream that sends both `trade` and `aggTrade` is believed on the first kind.
  Code apply_trade(const Trade& trade, int64_t at_ns) {
    const bool is_other_kind = trade_kind != TradeKind::NONE && trade_kind != trade.kind;
    if (is_other_kind || trade.trade_id <= trade_id) {
      ++other;
      return Code::OK;
    }
    const Scale to = scale.finest({0, trade.size.decimals});
    int64_t lots = 0;
    if (!rescale(trade.size, to.size_decimals, lots) || !can_refine(to)) return Code::MALFORMED;
    refine(to);
    trade_kind = trade.kind;
    trade_id = trade.trade_id;
    ++trades;
    windows.on_trade(at_ns, trade.aggressor_sold ? -lots : lots);
    return Code::OK;
  }

  // The frame counts, unless it is the one after a gap.
  Code take_frame(const Bytes& frame, int64_t at_ns) {
    const Code code = apply_frame(frame, at_ns);
    frames += code != Code::GAP;
    malformed += code == Code::MALFORMED;
    return code;
  }

  PyObject* apply_frames(const Sequence& batch, const Sequence& received_ns, int64_t start) {
    if (received_ns.size() < batch.size()) {
      throw Refusal{PyExc_ValueError, "expected a time for each frame"};
    }
    return apply_each(start, batch.size(), [&](int64_t index) {
      if (index + 2 < batch.size()) prefetch_frames(batch[index + 1], batch[index + 2]);
      const Code code = take_frame(bytes_of(batch[index]), integer_of(received_ns[index]));
      return code == Code::MALFORMED ? Code::OK : code;
    });
  }

  PyObject* apply_deltas(DeltaBatch& batch, int64_t start) {
    for (int64_t i = 0; i < std::min(start, batch.size()); ++i) {
      batch.next(batch[i].bid_count + batch[i].ask_count);
    }
    return apply_each(start, batch.size(), [&](int64_t index) {
      const Head& head = batch[index];
      const LevelSpan bids = batch.next(head.bid_count), asks = batch.next(head.ask_count);
      const DeltaSpan span{head.first_seq, head.last_seq, head.previous_seq};
      return apply_levels({span, head.event_ns}, bids, asks, head.at_ns);
    });
  }

  // Applies what stands from `start` on until a code is not OK: the index of the first one not
  // consumed, and the code.
  template <class Apply>
  static PyObject* apply_each(int64_t start, int64_t size, Apply apply) {
    if (start < 0) throw Refusal{PyExc_ValueError, "expected start >= 0"};
    int64_t index = std::min(start, size);
    Code code = Code::OK;
    while (index < size && code == Code::OK) {
      code = apply(index);
      index += code != Code::GAP;
    }
    Row row(2);
    row.integer(index);
    row.integer(static_cast<int64_t>(code));
    return row.take();
  }

  PyObject* follow(const Bytes& frame, int64_t at_ns) {
    prefetch();
    Row row(2);
    row.integer(static_cast<int64_t>(take_frame(frame, at_ns)));
    row.add(read_features(at_ns));
    return row.take();
  }

  PyObject* read_features(int64_t now_ns) {
    return windows.read(now_ns, levels, scale.size_decimals, features_type);
  }

  // -- the rest

  void adopt(Book& fresher) {
    if (!fresher.can_refine(scale)) {
      throw Refusal{number_error, "the fresher book does not fit 64 bits at this one's scale"};
    }
    fresher.refine(scale);
    forget_levels();
    refine(fresher.scale);
    std::swap(levels, fresher.levels);
    bid_floor = fresher.bid_floor;
    ask_ceiling = fresher.ask_ceiling;
    snapshot_seq = fresher.snapshot_seq;
    position = fresher.position;
    applied_at_snapshot = applied - fresher.applied + fresher.applied_at_snapshot;
  }

  PyObject* view() {
    Level bid{-1, 0}, ask{-1, 0};
    levels.bids.touch(bid);
    levels.asks.touch(ask);
    const int64_t scalars[] = {position.first_seq,
                               position.last_seq,
                               snapshot_seq,
                               scale.price_decimals,
                               scale.size_decimals,
                               levels.bids.size(),
                               levels.asks.size(),
                               bid.ticks,
                               ask.ticks,
                               bid_floor,
                               ask_ceiling,
                               event_ns,
                               frames,
                               applied,
                               applied - applied_at_snapshot,
                               stale,
                               trades,
                               other,
                               malformed,
                               level_changes,
                               delete_unknown};
    Row row(view_type, static_cast<Py_ssize_t>(std::size(scalars)));
    for (const int64_t scalar : scalars) row.integer(scalar);
    return row.take();
  }
};

namespace {

PyObject* side_tuple(Side& side, int64_t count) {
  Row row(std::min(count, side.size()));
  side.top(count, [&row](const Level& level) {
    Row pair(2);
    pair.integer(level.ticks);
    pair.integer(level.lots);
    row.add(pair.take());
  });
  return row.take();
}

PyObject* side_bytes(Side& side, int64_t count) {
  const int64_t size = std::min(count, side.size()) * static_cast<int64_t>(sizeof(Level));
  PyObject* const bytes = PyBytes_FromStringAndSize(nullptr, size);
  if (bytes == nullptr) return nullptr;
  char* to = PyBytes_AS_STRING(bytes);
  side.top(count, [&to](const Level& level) {
    std::memcpy(to, &level, sizeof level);
    to += sizeof level;
  });
  return bytes;
}

template <class Make>
PyObject* both_sides(Ladder& levels, int64_t count, Make make) {
  if (count < 0) throw Refusal{PyExc_ValueError, "expected count >= 0"};
  Row row(2);
  row.add(make(levels.bids, count));
  row.add(make(levels.asks, count));
  return row.take();
}

Book& checked(Book* book) {
  if (book == nullptr) throw Refusal{PyExc_RuntimeError, "expected configure first"};
  return *book;
}

PyTypeObject* tuple_type(PyObject* object) {
  if (!PyType_Check(object) ||
      !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(object), &PyTuple_Type)) {
    throw Refusal{PyExc_TypeError, "expected a subclass of tuple"};
  }
  return reinterpret_cast<PyTypeObject*>(Py_NewRef(object));
}

}  // namespace

PyObject* source_hash() noexcept { return PyUnicode_FromString(STEVIE_SOURCE_HASH); }

Core::~Core() { delete book_; }

PyObject* Core::configure(PyObject* native_symbol, int64_t rule, int64_t price_decimals,
                          int64_t size_decimals, int64_t obi_levels, int64_t window_ns,
                          int64_t window_events, PyObject* view_type, PyObject* features_type,
                          PyObject* number_error) noexcept {
  return guarded([&]() -> PyObject* {
    if (book_ != nullptr) throw Refusal{PyExc_RuntimeError, "expected configure only once"};
    Py_ssize_t length = 0;
    const char* const text = PyUnicode_AsUTF8AndSize(native_symbol, &length);
    if (text == nullptr) {  // cppyy cannot pass on a UnicodeEncodeError
      PyErr_Clear();
      throw Refusal{PyExc_ValueError, "expected native_symbol as text that UTF-8 can hold"};
    }
    const bool is_valid = (rule == 0 || rule == 1) && is_decimals(price_decimals) &&
                          is_decimals(size_decimals) && 1 <= obi_levels &&
                          obi_levels <= OBI_LEVELS_MAX && 1 <= window_ns &&
                          window_ns <= WINDOW_NS_MAX && 1 <= window_events &&
                          window_events <= WINDOW_ENTRIES_MAX;
    if (!is_valid) throw Refusal{PyExc_ValueError, "expected a spec within its limits"};
    if (!PyExceptionClass_Check(number_error)) {
      throw Refusal{PyExc_TypeError, "expected a class of exceptions"};
    }
    auto book = std::make_unique<Book>(
        std::string(text, static_cast<size_t>(length)), static_cast<SequenceRule>(rule),
        Scale{price_decimals, size_decimals}, FeatureSpec{obi_levels, window_ns, window_events},
        static_cast<uint64_t>(PyObject_Hash(native_symbol)));
    book->number_error = Py_NewRef(number_error);
    book->view_type = tuple_type(view_type);
    book->features_type = tuple_type(features_type);
    book_ = book.release();
    return Py_NewRef(Py_None);
  });
}

PyObject* Core::load_snapshot(PyObject* body, int64_t level_limit, int64_t at_ns) noexcept {
  return guarded([&] {
    return code_of(checked(book_).load_snapshot(bytes_of(body), level_limit, at_ns));
  });
}

PyObject* Core::apply_frames(PyObject* frames, PyObject* received_ns, int64_t start) noexcept {
  return guarded([&] {
    return checked(book_).apply_frames(Sequence(frames), Sequence(received_ns), start);
  });
}

PyObject* Core::apply_levels(int64_t first_seq, int64_t last_seq, int64_t previous_seq,
                             int64_t event_ns, PyObject* bids, PyObject* asks,
                             int64_t at_ns) noexcept {
  return guarded([&] {
    const IntegerBuffer bid_buffer(bids), ask_buffer(asks);
    const LevelSpan bid_levels = levels_of(bid_buffer), ask_levels = levels_of(ask_buffer);
    const Delta delta{{first_seq, last_seq, previous_seq}, event_ns};
    return code_of(checked(book_).apply_levels(delta, bid_levels, ask_levels, at_ns));
  });
}

PyObject* Core::apply_deltas(PyObject* heads, PyObject* levels, int64_t start) noexcept {
  return guarded([&] {
    const IntegerBuffer head_buffer(heads), level_buffer(levels);
    DeltaBatch batch(head_buffer, levels_of(level_buffer));
    return checked(book_).apply_deltas(batch, start);
  });
}

PyObject* Core::follow(PyObject* frame, int64_t received_ns) noexcept {
  return guarded([&] { return checked(book_).follow(bytes_of(frame), received_ns); });
}

PyObject* Core::scan(PyObject* frame) noexcept {
  return guarded([&] {
    Delta delta{{-1, -1, -1}, 0};
    Trade trade;
    const FrameKind kind =
        checked(book_).decode_frame(shared_reader(), bytes_of(frame), delta, trade);
    const bool is_delta = kind == FrameKind::DELTA;
    Row row(3);
    row.integer(static_cast<int64_t>(kind));
    row.integer(is_delta ? delta.span.first_seq : -1);
    row.integer(is_delta ? delta.span.last_seq : -1);
    return row.take();
  });
}

PyObject* Core::adopt(Core& fresher) noexcept {
  return guarded([&] {
    if (&fresher == this) throw Refusal{PyExc_ValueError, "expected another core"};
    checked(book_).adopt(checked(fresher.book_));
    return Py_NewRef(Py_None);
  });
}

PyObject* Core::pause_at(int64_t applied) noexcept {
  return guarded([&] {
    checked(book_).pause_applied = applied;
    return Py_NewRef(Py_None);
  });
}

PyObject* Core::refine(int64_t price_decimals, int64_t size_decimals) noexcept {
  return guarded([&] {
    Book& book = checked(book_);
    if (!is_decimals(price_decimals) || !is_decimals(size_decimals)) {
      throw Refusal{PyExc_ValueError, "expected 0 to 18 decimals"};
    }
    const Scale scale{price_decimals, size_decimals};
    if (!book.can_refine(scale)) {
      throw Refusal{book.number_error, "the book does not fit 64 bits at this scale"};
    }
    book.refine(scale);
    return Py_NewRef(Py_None);
  });
}

PyObject* Core::view() noexcept {
  return guarded([&] { return checked(book_).view(); });
}

PyObject* Core::top(int64_t count) noexcept {
  return guarded([&] { return both_sides(checked(book_).levels, count, side_tuple); });
}

PyObject* Core::ladder(int64_t count) noexcept {
  return guarded([&] { return both_sides(checked(book_).levels, count, side_bytes); });
}

PyObject* Core::features(int64_t now_ns) noexcept {
  return guarded([&] { return checked(book_).read_features(now_ns); });
}

}  // namespace stevie
