// The limit: what one core can do with these frames at all, to measure the kernel against.
//
// It does nothing that a product must do: one symbol, the keys in one order, prices of one ladder
// that was made to measure, no gap check, no validation, numbers that fit. What is left is reading
// digits, one array entry for each tick of a side, a bitmap of the ticks that hold something, and
// the touch, kept. Built with -O3 -march=native.
//
// Features are those that all contenders have in common, of each depth frame or of every so-manieth:
// imbalance of the top five, spread in bps, weighted mid, root of the last hundred squared returns
// of the weighted mid, imbalance of the last hundred trades. The windows move with every frame.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int TOP = 5;
constexpr size_t WINDOW = 100;

struct Change {
  uint32_t index;  // ticks above the ladder's floor
  uint32_t lots;
};

// -- numbers: a digit loop, with as many decimals as one tick and one lot have

inline uint64_t digits(const char*& p) {
  uint64_t value = 0;
  for (unsigned digit; (digit = static_cast<unsigned char>(*p) - unsigned{'0'}) < 10; ++p) {
    value = value * 10 + digit;
  }
  return value;
}

template <int DECIMALS>
inline uint64_t number(const char*& p) {
  uint64_t value = digits(p);
  ++p;  // the point
  for (int i = 0; i < DECIMALS; ++i) value = value * 10 + static_cast<uint64_t>(*p++ - '0');
  while (*p != '"') ++p;
  return value;
}

// -- frames

struct Trade {
  int64_t lots;  // below 0 if the aggressor sold
};

inline bool is_depth(const char* p) { return p[6] == 'd'; }  // {"e":"d

// `p` stands on the opening bracket of a list of levels; returns where the list has ended.
template <class Take>
inline const char* levels(const char* p, int64_t floor, Take take) {
  ++p;
  while (*p == '[' || *p == ',') {
    p += *p == ',' ? 3 : 2;  // ,[" or ["
    const uint64_t ticks = number<2>(p);
    p += 3;  // ","
    const uint64_t lots = number<5>(p);
    p += 2;  // "]
    take(Change{static_cast<uint32_t>(ticks - static_cast<uint64_t>(floor)),
                static_cast<uint32_t>(lots)});
  }
  return p + 1;
}

// {"e":"depthUpdate","E":1700000000100,"s":"BTCUSDT","U":1,"u":2,"b":[...],"a":[...]}
template <class Bid, class Ask>
inline void depth(const char* p, int64_t floor, Bid bid, Ask ask) {
  p += std::strlen("{\"e\":\"depthUpdate\",\"E\":");
  digits(p);
  p += std::strlen(",\"s\":\"");
  while (*p != '"') ++p;
  p += std::strlen("\",\"U\":");
  digits(p);
  p += std::strlen(",\"u\":");
  digits(p);
  p = levels(p + std::strlen(",\"b\":"), floor, bid);
  levels(p + std::strlen(",\"a\":"), floor, ask);
}

// {"e":"aggTrade","E":1,"s":"BTCUSDT","a":1,"p":"1.23","q":"1.23456","f":1,"l":1,"T":1,"m":true,...
inline Trade trade(const char* p) {
  p += std::strlen("{\"e\":\"aggTrade\",\"E\":");
  digits(p);
  p += std::strlen(",\"s\":\"");
  while (*p != '"') ++p;
  p += std::strlen("\",\"a\":");
  digits(p);
  p += std::strlen(",\"p\":\"");
  number<2>(p);
  p += std::strlen("\",\"q\":\"");
  const int64_t lots = static_cast<int64_t>(number<5>(p));
  p += std::strlen("\",\"f\":");
  digits(p);
  p += std::strlen(",\"l\":");
  digits(p);
  p += std::strlen(",\"T\":");
  digits(p);
  p += std::strlen(",\"m\":");
  return {*p == 't' ? -lots : lots};
}

// -- the book

template <bool IS_BID>
class Side {
 public:
  explicit Side(size_t span) : lots_(span), bits_(span / 64 + 2) {}

  void set(Change change) {
    const size_t index = change.index;
    lots_[index] = change.lots;
    const uint64_t bit = uint64_t{1} << (index & 63);
    uint64_t& word = bits_[index / 64 + 1];  // a word before and behind, so that scans may end
    if (change.lots != 0) {
      word |= bit;
      if (IS_BID ? index > touch_ : index < touch_) touch_ = index;
      return;
    }
    word &= ~bit;
    if (index == touch_) touch_ = next(index);
  }

  void clear() {
    std::fill(lots_.begin(), lots_.end(), 0);
    std::fill(bits_.begin(), bits_.end(), 0);
    touch_ = IS_BID ? 0 : lots_.size() - 1;
  }

  size_t touch() const { return touch_; }
  int64_t lots(size_t index) const { return lots_[index]; }

  // The next worse level.
  size_t next(size_t index) const {
    size_t word = index / 64 + 1;
    if (IS_BID) {
      uint64_t bits = bits_[word] & ((uint64_t{1} << (index & 63)) - 1);
      while (bits == 0 && word > 1) bits = bits_[--word];
      return bits == 0 ? 0 : (word - 1) * 64 + 63 - static_cast<size_t>(__builtin_clzll(bits));
    }
    uint64_t bits = bits_[word] & ~((uint64_t{2} << (index & 63)) - 1);
    while (bits == 0 && word + 2 < bits_.size()) bits = bits_[++word];
    return bits == 0 ? lots_.size() - 1
                     : (word - 1) * 64 + static_cast<size_t>(__builtin_ctzll(bits));
  }

  template <class Take>
  void top(int count, Take take) const {
    size_t index = touch_;
    for (int i = 0; i < count; ++i, index = next(index)) take(index, lots(index));
  }

 private:
  std::vector<uint32_t> lots_;
  std::vector<uint64_t> bits_;
  size_t touch_ = 0;
};

// -- features

template <class Value>
class Window {
 public:
  // Takes a value in; returns the one that it pushed out.
  Value push(Value value) {
    Value& slot = values_[next_];
    next_ = next_ + 1 == WINDOW ? 0 : next_ + 1;
    const Value old = slot;
    slot = value;
    return old;
  }

 private:
  std::array<Value, WINDOW> values_{};
  size_t next_ = 0;
};

struct Sums {
  double obi = 0, spread_bps = 0, weighted_mid = 0, micro_vol = 0, ti = 0;
};

struct Limit {
  Limit(int64_t floor_ticks, size_t span) : floor(floor_ticks), bids(span), asks(span) {}

  int64_t floor;
  Side<true> bids;
  Side<false> asks;
  Window<double> returns;
  Window<int64_t> trades;
  double return_sum = 0, last_mid = 0;
  int64_t signed_lots = 0, all_lots = 0;
  Sums sums;
  std::vector<Change> changes;       // of all frames, for `apply`
  std::vector<uint32_t> side_ends;   // bids' and asks' end of each frame

  double weighted_mid() const {
    const size_t bid = bids.touch(), ask = asks.touch();
    const double bid_lots = static_cast<double>(bids.lots(bid));
    const double ask_lots = static_cast<double>(asks.lots(ask));
    return static_cast<double>(floor + static_cast<int64_t>(bid)) +
           static_cast<double>(ask - bid) * bid_lots / (bid_lots + ask_lots);
  }

  void on_depth() {
    const double mid = weighted_mid();
    if (last_mid != 0) {
      const double log_return = mid == last_mid ? 0.0 : std::log(mid / last_mid);
      const double squared = log_return * log_return;
      return_sum += squared - returns.push(squared);
    }
    last_mid = mid;
  }

  void on_trade(Trade trade) {
    const int64_t old = trades.push(trade.lots);
    signed_lots += trade.lots - old;
    all_lots += std::abs(trade.lots) - std::abs(old);
  }

  void read_features() {
    int64_t bid_lots = 0, ask_lots = 0;
    bids.top(TOP, [&](size_t, int64_t lots) { bid_lots += lots; });
    asks.top(TOP, [&](size_t, int64_t lots) { ask_lots += lots; });
    sums.obi += static_cast<double>(bid_lots - ask_lots) / static_cast<double>(bid_lots + ask_lots);
    const int64_t bid = floor + static_cast<int64_t>(bids.touch());
    const int64_t ask = floor + static_cast<int64_t>(asks.touch());
    sums.spread_bps += static_cast<double>(ask - bid) * 20000.0 / static_cast<double>(ask + bid);
    sums.weighted_mid += last_mid;
    sums.micro_vol += std::sqrt(return_sum > 0 ? return_sum : 0.0);
    if (all_lots != 0) sums.ti += static_cast<double>(signed_lots) / static_cast<double>(all_lots);
  }

  void apply_frame(const char* frame) {
    depth(frame, floor, [this](Change c) { bids.set(c); }, [this](Change c) { asks.set(c); });
  }
};

}  // namespace

extern "C" {

Limit* limit_new(int64_t floor_ticks, int64_t span) {
  return new Limit(floor_ticks, static_cast<size_t>(span));
}

void limit_delete(Limit* limit) { delete limit; }

// Forgets everything, and takes a snapshot: {"lastUpdateId":1,"bids":[...],"asks":[...]}
void limit_reset(Limit* limit, const char* body) {
  limit->bids.clear();
  limit->asks.clear();
  limit->returns = {};
  limit->trades = {};
  limit->return_sum = limit->last_mid = 0;
  limit->signed_lots = limit->all_lots = 0;
  limit->sums = {};
  const char* p = std::strchr(body, '[');
  p = levels(p, limit->floor, [limit](Change c) { limit->bids.set(c); });
  levels(p + std::strlen(",\"asks\":"), limit->floor, [limit](Change c) { limit->asks.set(c); });
}

// Reads the frames to numbers; their sum keeps the compiler from reading nothing.
uint64_t limit_decode(Limit* limit, const char* frames, const int64_t* starts, int64_t count) {
  uint64_t sum = 0;
  const auto take = [&sum](Change change) { sum += change.index ^ change.lots; };
  for (int64_t i = 0; i < count; ++i) {
    const char* const frame = frames + starts[i];
    if (is_depth(frame)) {
      depth(frame, limit->floor, take, take);
    } else {
      sum += static_cast<uint64_t>(trade(frame).lots);
    }
  }
  return sum;
}

// What `limit_apply` is going to apply.
void limit_parse(Limit* limit, const char* frames, const int64_t* starts, int64_t count) {
  limit->changes.clear();
  limit->side_ends.clear();
  const auto take = [limit](Change change) { limit->changes.push_back(change); };
  const auto end = [limit] {
    limit->side_ends.push_back(static_cast<uint32_t>(limit->changes.size()));
  };
  for (int64_t i = 0; i < count; ++i) {
    if (!is_depth(frames + starts[i])) continue;
    bool is_ask = false;
    depth(frames + starts[i], limit->floor, take, [&](Change change) {
      if (!is_ask) end();
      is_ask = true;
      take(change);
    });
    if (!is_ask) end();
    end();
  }
}

void limit_apply(Limit* limit) {
  size_t i = 0;
  for (size_t frame = 0; frame < limit->side_ends.size(); frame += 2) {
    for (; i < limit->side_ends[frame]; ++i) limit->bids.set(limit->changes[i]);
    for (; i < limit->side_ends[frame + 1]; ++i) limit->asks.set(limit->changes[i]);
  }
}

// Raw frames to a book whose touch is known after each.
void limit_book(Limit* limit, const char* frames, const int64_t* starts, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const char* const frame = frames + starts[i];
    if (is_depth(frame)) {
      limit->apply_frame(frame);
    } else {
      trade(frame);
    }
  }
}

// Raw frames to a book to features, read after every `every`-th frame that is a depth frame.
void limit_features(Limit* limit, const char* frames, const int64_t* starts, int64_t count,
                    int64_t every) {
  for (int64_t i = 0; i < count; ++i) {
    const char* const frame = frames + starts[i];
    if (is_depth(frame)) {
      limit->apply_frame(frame);
      limit->on_depth();
      if (every == 1) limit->read_features();
    } else {
      limit->on_trade(trade(frame));
    }
    const bool is_end = (i + 1) % every == 0 || i + 1 == count;
    if (every != 1 && is_end) limit->read_features();
  }
}

void limit_sums(const Limit* limit, double* out) {
  const Sums& sums = limit->sums;
  const double values[] = {sums.obi, sums.spread_bps, sums.weighted_mid, sums.micro_vol, sums.ti};
  std::memcpy(out, values, sizeof values);
}

// The best `count` levels of both sides, as ticks and lots.
void limit_top(const Limit* limit, int64_t count, int64_t* out) {
  const auto take = [&](size_t index, int64_t lots) {
    *out++ = limit->floor + static_cast<int64_t>(index);
    *out++ = lots;
  };
  limit->bids.top(static_cast<int>(count), take);
  limit->asks.top(static_cast<int>(count), take);
}

// The same, `times` over, into the same place.
void limit_tops(const Limit* limit, int64_t count, int64_t times, int64_t* out) {
  for (int64_t i = 0; i < times; ++i) {
    limit_top(limit, count, out);
    asm volatile("" : : "r"(out) : "memory");
  }
}

}  // extern "C"
