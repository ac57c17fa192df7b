// The k largest elements of each segment, by the method that its length and k call for; and the gradient.
// compiled for: T = uint16, uint32, uint64
// options: --device-int128
//
// T is the unsigned integer as wide as an element. Elements are ranked by one integer key: their bits in value order
// (0 for NaN, -0 as +0), then the inverted index, so that of equals the earlier is larger, no two keys of a segment are
// equal, and 0 is below every key. Nothing here does arithmetic on values: their bits are copied as they are.
//
// bin_segments sorts the segments into lists by length; each other kernel works off one list with a grid of fixed size
// and reads its count on the device, so that no launch waits for the host:
//   up to 32                      sort_short      8, 16 or 32 lanes a segment
//   up to warp_max, k <= 32       select_warp     a warp a segment
//   up to block_max, k <= 256     select_block    a block a segment
//   longer, k <= 256              select_chunks, merge_chunks
//   up to block_max, larger k     radix_block     a block a segment
//   longer, larger k              radix_count (once a digit), radix_gather, sort_tiles, sort_step, radix_emit
// Segments with a NaN among their first k elements are noted and done again by heap_rows.

template <class U> struct Bits;
template <> struct Bits<unsigned short> {
  using Key = unsigned long long;
  using Word = unsigned;
  static constexpr unsigned INF = 0x7c00;
};
template <> struct Bits<unsigned> {
  using Key = unsigned long long;
  using Word = unsigned;
  static constexpr unsigned INF = 0x7f800000;
};
template <> struct Bits<unsigned long long> {
  using Key = unsigned __int128;
  using Word = unsigned long long;
  static constexpr unsigned long long INF = 0x7ff0000000000000;
};
using Key = Bits<T>::Key;
using Word = Bits<T>::Word;  // what a shuffle can carry

constexpr unsigned ALL = 0xffffffff;
constexpr T SIGN = T(T(1) << (8 * sizeof(T) - 1));
constexpr int KEY_BITS = 8 * sizeof(T) + 32;
constexpr int BLOCK = 256;                                      // threads of every block
constexpr int WARPS = BLOCK / 32;
constexpr int BEST = 256;                                       // largest k of the select kernels
constexpr int STEP = 4 * BLOCK;                                 // elements that a block looks at between barriers
constexpr int TILE_LOG = sizeof(T) == 8 ? 11 : 12;              // keys that a block sorts in shared memory
constexpr int TILE = 1 << TILE_LOG;
constexpr int DIGIT_BITS = 11, BINS = 1 << DIGIT_BITS;          // of the radix select

enum { SHORT8, SHORT16, SHORT32, WARP, MEDIUM, LONG, NAN_ROWS, TILES, BAD };  // places in counts

struct Segments {
  const T* x;                // the elements
  const long long* offsets;  // where each segment begins, and the end of the last
  const int* lengths;
  long long n;               // how many
  long long size;            // elements in x
  int k;
};
struct Output {
  T* values;      // (n, k)
  int* indices;   // (n, k)
  int* nan_rows;  // segments for heap_rows
  int* counts;    // see the enum
};
// A search for the need-th largest key among those whose decided bits (mask) are those of prefix.
struct Radix {
  Key prefix, mask;
  unsigned need;
  int open;     // more digits to decide
  int has_nan;  // already in nan_rows
};
// What is known of the segments in the list LONG, by their place m in it.
struct Long {
  int* first_tile;  // a segment's chunks are tiles first_tile .. + ceil(length / chunk)
  int* tile_owner;  // tile -> m
  long long* base;  // where its selected keys go
  int* filled;      // how many of them are there
  int* tickets;     // blocks that have counted the current digit
  Radix* radix;
  int chunk;
};

__device__ __forceinline__ bool is_nan(T bits) { return (bits & T(~SIGN)) > Bits<T>::INF; }
__device__ __forceinline__ T ordered(T bits) {
  if (is_nan(bits)) return 0;
  if (T(bits & T(~SIGN)) == 0) return SIGN;
  return bits & SIGN ? T(~bits) : T(bits | SIGN);
}
__device__ __forceinline__ Key make_key(T bits, unsigned index) { return Key(ordered(bits)) << 32 | unsigned(~index); }
__device__ __forceinline__ int index_of(Key key) { return int(~unsigned(key)); }
__device__ __forceinline__ int lower(long long a, long long b) { return int(a < b ? a : b); }
__device__ __forceinline__ Key larger(Key a, Key b) { return a > b ? a : b; }

// A key from another lane.
__device__ __forceinline__ unsigned long long lane_key(unsigned long long key, int lane) {
  return __shfl_sync(ALL, key, lane);
}
__device__ __forceinline__ unsigned __int128 lane_key(unsigned __int128 key, int lane) {
  const unsigned long long high = __shfl_sync(ALL, (unsigned long long)(key >> 64), lane);
  return (unsigned __int128)high << 64 | __shfl_sync(ALL, (unsigned long long)key, lane);
}
// The larger of a lane's key and its partner's stays in the lower lane.
__device__ __forceinline__ Key exchange(Key key, int mask) {
  const int lane = threadIdx.x & 31;
  const Key other = lane_key(key, lane ^ mask);
  return (key > other) == (lane < (lane ^ mask)) ? key : other;
}
// Bitonic sort, descending, of each W neighbouring lanes.
template <int W> __device__ __forceinline__ Key sort_lanes(Key key) {
  for (int size = 2; size <= W; size *= 2) {
    key = exchange(key, size - 1);
    for (int half = size / 4; half > 0; half /= 2) key = exchange(key, half);
  }
  return key;
}
// The 32 largest of `best` (sorted over the lanes) and `more` (in any order), sorted.
__device__ Key merge_lanes(Key best, Key more) {
  more = sort_lanes<32>(more);
  best = larger(best, lane_key(more, 31 - (threadIdx.x & 31)));
  for (int half = 16; half > 0; half /= 2) best = exchange(best, half);
  return best;
}
// Steps first..last of a bitonic sort, descending, of n keys, whose halves are below a tile; ends at a barrier.
__device__ void sort_block(Key* keys, int n, int first = 1, int last = TILE_LOG) {
  for (int s = first; s <= last && (first == last || 1 << (s - 1) < n); ++s)
    for (int h = (s < TILE_LOG ? s : TILE_LOG) - 1; h >= 0; --h) {
      __syncthreads();
      for (int t = threadIdx.x; t >> h << (h + 1) < n; t += BLOCK) {
        const int low = t >> h << (h + 1) | (t & ((1 << h) - 1));
        const int high = h == s - 1 ? low ^ ((1 << s) - 1) : low | 1 << h;
        if (high >= n) continue;
        const Key a = keys[low], b = keys[high];
        if (a < b) keys[low] = b, keys[high] = a;
      }
    }
  __syncthreads();
}
// The lanes with `wanted` put their keys at the end of list, one atomic a warp; every lane must call.
__device__ __forceinline__ void append(Key* list, int* count, Key key, bool wanted) {
  const unsigned lane = threadIdx.x & 31, votes = __ballot_sync(ALL, wanted);
  if (!votes) return;
  int place = 0;
  if (lane == 0) place = atomicAdd(count, __popc(votes));
  place = __shfl_sync(ALL, place, 0) + __popc(votes & ((1u << lane) - 1));
  if (wanted) list[place] = key;
}
// The block writes elements first, first + stride, ... of an output row from its sorted keys; tells whether it saw a NaN.
__device__ bool emit(const Segments& s, const Output& out, long long row, const Key* keys, int first, int stride) {
  const T* segment = s.x + s.offsets[row];
  const int length = s.lengths[row];
  bool has_nan = false;
  for (int q = first; q < s.k; q += stride) {
    const int index = q < length ? index_of(keys[q]) : -1;
    out.values[row * s.k + q] = index < 0 ? T(0) : segment[index];
    out.indices[row * s.k + q] = index;
    has_nan |= q < length && is_nan(segment[q]);
  }
  return __syncthreads_or(has_nan);
}
__device__ __forceinline__ void note_nan(const Output& out, long long row) {
  out.nan_rows[atomicAdd(&out.counts[NAN_ROWS], 1)] = int(row);
}

// A thread owns a segment: it checks its bounds, puts it into the list for its length and plans the chunks of a long one.
extern "C" __global__ void bin_segments(const Segments s, int warp_max, int block_max, int* lists, int* counts,
                                        const Long l, unsigned long long* selected) {
  const long long stride = (long long)gridDim.x * BLOCK;
  const unsigned lane = threadIdx.x & 31;
  if (blockIdx.x == 0 && threadIdx.x == 0 && s.offsets[s.n] != s.size) atomicOr(&counts[BAD], 2);
  for (long long start = (long long)blockIdx.x * BLOCK; start < s.n; start += stride) {
    const long long row = start + threadIdx.x;
    const int length = row < s.n ? s.lengths[row] : 0;
    const long long begin = row < s.n ? s.offsets[row] : 0;
    int bin = length <= 8 ? SHORT8 : length <= 16 ? SHORT16 : length <= 32 ? SHORT32
            : length <= warp_max ? WARP : length <= block_max ? MEDIUM : LONG;
    if (length < 0) atomicOr(&counts[BAD], 1);
    if (row >= s.n || length < 0 || begin < 0 || begin + length > s.size) bin = BAD;
    for (int b = SHORT8; b <= LONG; ++b) {
      const unsigned votes = __ballot_sync(ALL, bin == b);
      if (!votes) continue;
      int place = 0;
      if (lane == 0) place = atomicAdd(&counts[b], __popc(votes));
      place = __shfl_sync(ALL, place, 0) + __popc(votes & ((1u << lane) - 1));
      if (bin == b) lists[b * s.n + place] = int(row);
      if (bin != LONG || b != LONG) continue;
      const int tiles = int((length - 1LL) / l.chunk + 1), take = lower(s.k, length);
      const int tile = atomicAdd(&counts[TILES], tiles);
      l.first_tile[place] = tile;
      for (int t = 0; t < tiles; ++t) l.tile_owner[tile + t] = place;
      l.base[place] = (long long)atomicAdd(selected, (unsigned long long)take);
      l.radix[place] = Radix{0, 0, unsigned(take), take < length, 0};
    }
  }
}

// W lanes own a segment of at most W elements, one each.
template <int W> __device__ void sort_short_rows(const Segments& s, const int* list, int count, const Output& out) {
  const int lane = threadIdx.x & 31, within = lane % W;
  const long long warp = ((long long)blockIdx.x * BLOCK + threadIdx.x) / 32, warps = (long long)gridDim.x * WARPS;
  for (long long first = warp * (32 / W); first < count; first += warps * (32 / W)) {
    const bool real = first + lane / W < count;
    const long long row = real ? list[first + lane / W] : 0;
    const int length = real ? s.lengths[row] : 0;
    const bool held = within < length;
    const T bits = held ? s.x[s.offsets[row] + within] : T(0);
    const unsigned nans = __ballot_sync(ALL, held && within < s.k && is_nan(bits)) >> (lane - within);
    const Key key = sort_lanes<W>(held ? make_key(bits, within) : Key(0));
    const int index = held ? index_of(key) : 0;
    const T value = T(__shfl_sync(ALL, Word(bits), lane - within + index));
    if (!real) continue;
    if (within == 0 && (W == 32 ? nans : nans & ((1ull << W) - 1))) note_nan(out, row);
    for (int q = within; q < s.k; q += W) {
      out.values[row * s.k + q] = q < length ? value : T(0);
      out.indices[row * s.k + q] = q < length ? index : -1;
    }
  }
}
// W = 8, 16 or 32 lanes own a segment: a sort in registers.
extern "C" __global__ void __launch_bounds__(256)
sort_short(const Segments s, const int* list, int bin, const Output out) {
  const int count = out.counts[bin];
  if (bin == SHORT8) sort_short_rows<8>(s, list, count, out);
  else if (bin == SHORT16) sort_short_rows<16>(s, list, count, out);
  else sort_short_rows<32>(s, list, count, out);
}

// A warp owns a segment: the best 32 are spread over its lanes, keys above the k-th best queue up to be merged in.
extern "C" __global__ void __launch_bounds__(256)
select_warp(const Segments s, const int* list, const Output out) {
  __shared__ Key queues[WARPS][64];
  constexpr int AHEAD = 4;  // loads in flight a lane
  const int lane = threadIdx.x & 31, count = out.counts[WARP];
  Key* queue = queues[threadIdx.x / 32];
  const long long warp = ((long long)blockIdx.x * BLOCK + threadIdx.x) / 32, warps = (long long)gridDim.x * WARPS;
  for (long long item = warp; item < count; item += warps) {
    const long long row = list[item];
    const T* segment = s.x + s.offsets[row];
    const int length = s.lengths[row];
    Key best = 0, worst = 0;
    int waiting = 0;
    bool has_nan = false;
    for (int start = 0; start < length; start += 32 * AHEAD) {
      T bits[AHEAD];
#pragma unroll
      for (int u = 0; u < AHEAD; ++u) {
        const int i = start + 32 * u + lane;
        bits[u] = i < length ? segment[i] : T(0);
      }
#pragma unroll
      for (int u = 0; u < AHEAD; ++u) {
        const int i = start + 32 * u + lane;
        const Key key = i < length ? make_key(bits[u], i) : Key(0);
        has_nan |= i < s.k && i < length && is_nan(bits[u]);
        if (s.k == 1) {
          best = larger(best, key);
          continue;
        }
        const unsigned votes = __ballot_sync(ALL, key > worst);
        if (!votes) continue;
        if (key > worst) queue[waiting + __popc(votes & ((1u << lane) - 1))] = key;
        waiting += __popc(votes);
        __syncwarp();
        if (waiting < 32) continue;
        best = merge_lanes(best, queue[lane]);
        worst = lane_key(best, s.k - 1);
        waiting -= 32;
        const Key rest = lane < waiting ? queue[32 + lane] : Key(0);
        __syncwarp();
        if (lane < waiting) queue[lane] = rest;
        __syncwarp();
      }
    }
    if (s.k == 1) for (int mask = 16; mask > 0; mask /= 2) best = larger(best, lane_key(best, lane ^ mask));
    else if (waiting) best = merge_lanes(best, lane < waiting ? queue[lane] : Key(0));
    __syncwarp();
    if (__ballot_sync(ALL, has_nan) && lane == 0) note_nan(out, row);
    if (lane < s.k) {
      const int index = lane < length ? index_of(best) : -1;
      out.values[row * s.k + lane] = index < 0 ? T(0) : segment[index];
      out.indices[row * s.k + lane] = index;
    }
  }
}

// The block leaves the k <= BEST largest of n keys, sorted, in keys[0..k): keys above the k-th best are queued behind
// the best, and a full queue is sorted together with them. `load(i)` gives key i, `waiting` is a shared counter. After
// `columns` keys in a row that were not wanted it stops: load(i) >= load(i + columns), if columns are given.
template <class Load>
__device__ void select_keys(Load load, long long n, int k, Key* keys, int* waiting, int columns = 0) {
  if (k == 1) {
    Key best = 0;
#pragma unroll 4
    for (long long i = threadIdx.x; i < n; i += BLOCK) best = larger(best, load(i));
    keys[threadIdx.x] = best;
    for (int half = BLOCK / 2; half > 0; half /= 2) {
      __syncthreads();
      if (threadIdx.x < half) keys[threadIdx.x] = larger(keys[threadIdx.x], keys[threadIdx.x + half]);
    }
    __syncthreads();
    return;
  }
  int held = 0, before = 0, unwanted = 0;
  Key worst = 0;
  if (threadIdx.x == 0) *waiting = 0;
  __syncthreads();
  for (long long start = 0; start < n; start += STEP) {
    Key mine[STEP / BLOCK];
#pragma unroll
    for (int u = 0; u < STEP / BLOCK; ++u) {
      const long long i = start + u * BLOCK + threadIdx.x;
      mine[u] = i < n ? load(i) : Key(0);
    }
#pragma unroll
    for (int u = 0; u < STEP / BLOCK; ++u) append(keys + held, waiting, mine[u], mine[u] > worst);
    __syncthreads();
    const int queued = *waiting;
    __syncthreads();
    unwanted = queued == before ? unwanted + STEP : 0;
    before = queued;
    const bool done = start + STEP >= n || (columns && unwanted >= columns);
    if (queued <= STEP && !done && !(held == 0 && queued >= k)) continue;
    sort_block(keys, held + queued);
    if (done) return;
    held = lower(k, held + queued);
    worst = held == k ? keys[k - 1] : Key(0);
    before = 0;
    if (threadIdx.x == 0) *waiting = 0;
    __syncthreads();
  }
}

// A block owns a segment.
extern "C" __global__ void __launch_bounds__(256)
select_block(const Segments s, const int* list, const Output out) {
  __shared__ Key keys[BEST + 2 * STEP];
  __shared__ int waiting;
  const int count = out.counts[MEDIUM];
  for (int item = blockIdx.x; item < count; item += gridDim.x) {
    const long long row = list[item];
    const T* segment = s.x + s.offsets[row];
    select_keys([=](long long i) { return make_key(segment[i], unsigned(i)); }, s.lengths[row], s.k, keys, &waiting);
    if (emit(s, out, row, keys, threadIdx.x, BLOCK) && threadIdx.x == 0) note_nan(out, row);
  }
}

// A block owns a chunk of a long segment and leaves the chunk's k largest keys in a column of partial.
extern "C" __global__ void __launch_bounds__(256)
select_chunks(const Segments s, const int* list, const int* counts, const Long l, Key* partial) {
  __shared__ Key keys[BEST + 2 * STEP];
  __shared__ int waiting;
  for (int tile = blockIdx.x; tile < counts[TILES]; tile += gridDim.x) {
    const int m = l.tile_owner[tile];
    const long long row = list[m], begin = (long long)(tile - l.first_tile[m]) * l.chunk;
    const T* chunk = s.x + s.offsets[row] + begin;
    const int n = lower(l.chunk, s.lengths[row] - begin);
    select_keys([=](long long i) { return make_key(chunk[i], unsigned(begin + i)); }, n, s.k, keys, &waiting);
    const int tiles = int((s.lengths[row] - 1LL) / l.chunk + 1);
    Key* column = partial + (long long)l.first_tile[m] * s.k + (tile - l.first_tile[m]);
    for (int q = threadIdx.x; q < s.k; q += BLOCK) column[(long long)q * tiles] = q < n ? keys[q] : Key(0);
    __syncthreads();
  }
}

// A block owns a long segment and selects among the keys that its chunks left: first the best of each, then the second.
extern "C" __global__ void __launch_bounds__(256)
merge_chunks(const Segments s, const int* list, const Long l, const Key* partial, const Output out) {
  __shared__ Key keys[BEST + 2 * STEP];
  __shared__ int waiting;
  const int count = out.counts[LONG];
  for (int m = blockIdx.x; m < count; m += gridDim.x) {
    const long long row = list[m];
    const int tiles = int((s.lengths[row] - 1LL) / l.chunk + 1);
    const Key* from = partial + (long long)l.first_tile[m] * s.k;
    select_keys([=](long long i) { return from[i]; }, (long long)tiles * s.k, s.k, keys, &waiting, tiles);
    if (emit(s, out, row, keys, threadIdx.x, BLOCK) && threadIdx.x == 0) note_nan(out, row);
  }
}

// Digit number `digit` of keys, most significant first: its lowest bit and how many values it has.
__device__ __forceinline__ int digit_shift(int digit) {
  const int shift = KEY_BITS - DIGIT_BITS * (digit + 1);
  return shift < 0 ? 0 : shift;
}
__device__ __forceinline__ int digit_values(int digit) {
  const int top = KEY_BITS - DIGIT_BITS * digit;
  return top < DIGIT_BITS ? 1 << top : BINS;
}
// The block counts the digits of elements begin..end that are still in the running.
__device__ void count_digits(const T* segment, long long begin, long long end, const Radix& radix, int digit,
                             unsigned* histogram) {
  const int shift = digit_shift(digit), values = digit_values(digit);
  for (int b = threadIdx.x; b < BINS; b += BLOCK) histogram[b] = 0;
  __syncthreads();
  for (long long i = begin + threadIdx.x; i < end; i += BLOCK) {
    const Key key = make_key(segment[i], unsigned(i));
    if (((key ^ radix.prefix) & radix.mask) == 0) atomicAdd(&histogram[unsigned(key >> shift) & (values - 1)], 1u);
  }
  __syncthreads();
}
// The block decides one digit: the bin that holds the need-th largest. A thread owns 8 bins; ends at a barrier.
__device__ void decide_digit(const unsigned* histogram, int digit, Radix* radix) {
  __shared__ unsigned totals[WARPS];
  constexpr int OWN = BINS / BLOCK;
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  const unsigned need = radix->need;
  unsigned own = 0;
  for (int b = 0; b < OWN; ++b) own += histogram[threadIdx.x * OWN + b];
  unsigned above = own;  // counts in this thread's bins and all higher ones
  for (int o = 1; o < 32; o *= 2) {
    const unsigned more = __shfl_down_sync(ALL, above, o);
    if (lane + o < 32) above += more;
  }
  if (lane == 0) totals[warp] = above;
  __syncthreads();
  for (int w = warp + 1; w < WARPS; ++w) above += totals[w];
  if (above >= need && above - own < need) {
    above -= own;
    int bin = threadIdx.x * OWN + OWN - 1;
    while (above + histogram[bin] < need) above += histogram[bin--];
    radix->prefix |= Key(unsigned(bin)) << digit_shift(digit);
    radix->mask |= Key(unsigned(digit_values(digit) - 1)) << digit_shift(digit);
    radix->need = need - above;
    radix->open = histogram[bin] != need - above;
  }
  __syncthreads();
}

// A block owns a segment: it narrows down the k-th largest key digit by digit, gathers what reaches it, and sorts that.
extern "C" __global__ void __launch_bounds__(256)
radix_block(const Segments s, const int* list, const Output out) {
  __shared__ Key keys[TILE];
  __shared__ unsigned histogram[BINS];
  __shared__ Radix radix;
  __shared__ int filled;
  const int count = out.counts[MEDIUM];
  for (int item = blockIdx.x; item < count; item += gridDim.x) {
    const long long row = list[item];
    const T* segment = s.x + s.offsets[row];
    const int length = s.lengths[row], take = lower(s.k, length);
    if (threadIdx.x == 0) radix = Radix{0, 0, unsigned(take), take < length, 0}, filled = 0;
    __syncthreads();
    for (int digit = 0; radix.open; ++digit) {
      count_digits(segment, 0, length, radix, digit, histogram);
      decide_digit(histogram, digit, &radix);
    }
    for (int start = 0; start < length; start += BLOCK) {
      const int i = start + threadIdx.x;
      const Key key = i < length ? make_key(segment[i], i) : Key(0);
      append(keys, &filled, key, i < length && key >= radix.prefix);
    }
    sort_block(keys, take);
    if (emit(s, out, row, keys, threadIdx.x, BLOCK) && threadIdx.x == 0) note_nan(out, row);
  }
}

// A block owns a chunk of a long segment and adds up its digits; the last of the segment's blocks decides the digit.
extern "C" __global__ void __launch_bounds__(256)
radix_count(const Segments s, const int* list, const int* counts, const Long l, unsigned* histograms, int digit) {
  __shared__ unsigned histogram[BINS];
  __shared__ Radix radix;
  __shared__ int ticket;
  for (int tile = blockIdx.x; tile < counts[TILES]; tile += gridDim.x) {
    const int m = l.tile_owner[tile];
    if (!l.radix[m].open) continue;
    const long long row = list[m], begin = (long long)(tile - l.first_tile[m]) * l.chunk;
    const int length = s.lengths[row], tiles = int((length - 1LL) / l.chunk + 1);
    unsigned* sums = histograms + (long long)m * BINS;
    if (threadIdx.x == 0) radix = l.radix[m];
    __syncthreads();
    count_digits(s.x + s.offsets[row], begin, lower(begin + l.chunk, length), radix, digit, histogram);
    for (int b = threadIdx.x; b < BINS; b += BLOCK) if (histogram[b]) atomicAdd(&sums[b], histogram[b]);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) ticket = atomicAdd(&l.tickets[m], 1);
    __syncthreads();
    if (ticket == tiles - 1) {
      __threadfence();
      for (int b = threadIdx.x; b < BINS; b += BLOCK) histogram[b] = __ldcg(&sums[b]), sums[b] = 0;
      __syncthreads();
      decide_digit(histogram, digit, &radix);
      if (threadIdx.x == 0) l.radix[m] = radix, l.tickets[m] = 0;
    }
    __syncthreads();
  }
}

// A block owns a chunk of a long segment and puts the keys that reach the threshold where the segment's are gathered.
extern "C" __global__ void __launch_bounds__(256)
radix_gather(const Segments s, const int* list, const int* counts, const Long l, Key* gathered) {
  for (int tile = blockIdx.x; tile < counts[TILES]; tile += gridDim.x) {
    const int m = l.tile_owner[tile];
    const long long row = list[m], begin = (long long)(tile - l.first_tile[m]) * l.chunk;
    const int end = lower(begin + l.chunk, s.lengths[row]);
    const T* segment = s.x + s.offsets[row];
    const Key least = l.radix[m].prefix;
    for (long long start = begin; start < end; start += BLOCK) {
      const long long i = start + threadIdx.x;
      const Key key = i < end ? make_key(segment[i], unsigned(i)) : Key(0);
      append(gathered + l.base[m], &l.filled[m], key, i < end && key >= least);
    }
  }
}

// A block owns a tile of a long segment's gathered keys: steps first..last of their sort, as far as they stay in a tile.
extern "C" __global__ void __launch_bounds__(256)
sort_tiles(const Segments s, const int* list, const int* counts, const Long l, Key* gathered, int first, int last) {
  __shared__ Key keys[TILE];
  for (int m = blockIdx.y; m < counts[LONG]; m += gridDim.y) {
    const int take = lower(s.k, s.lengths[list[m]]);
    if (first > TILE_LOG && 1LL << (first - 1) >= take) continue;
    for (long long begin = (long long)blockIdx.x * TILE; begin < take; begin += (long long)gridDim.x * TILE) {
      Key* tile = gathered + l.base[m] + begin;
      const int n = lower(TILE, take - begin);
      for (int i = threadIdx.x; i < n; i += BLOCK) keys[i] = tile[i];
      sort_block(keys, n, first, last);
      for (int i = threadIdx.x; i < n; i += BLOCK) tile[i] = keys[i];
      __syncthreads();
    }
  }
}

// A thread owns a pair of gathered keys: one exchange (step s, halves of 2^h keys) that reaches beyond a tile.
extern "C" __global__ void sort_step(const Segments s, const int* list, const int* counts, const Long l, Key* gathered,
                                     int step, int h) {
  for (int m = blockIdx.y; m < counts[LONG]; m += gridDim.y) {
    const long long take = lower(s.k, s.lengths[list[m]]), stride = (long long)gridDim.x * BLOCK;
    if (1LL << (step - 1) >= take) continue;
    Key* keys = gathered + l.base[m];
    for (long long t = (long long)blockIdx.x * BLOCK + threadIdx.x; t >> h << (h + 1) < take; t += stride) {
      const long long low = t >> h << (h + 1) | (t & ((1LL << h) - 1));
      const long long high = h == step - 1 ? low ^ ((1LL << step) - 1) : low | 1LL << h;
      if (high >= take) continue;
      const Key a = keys[low], b = keys[high];
      if (a < b) keys[low] = b, keys[high] = a;
    }
  }
}

// The blocks of a row of the grid own a long segment: they write its output from its sorted keys.
extern "C" __global__ void __launch_bounds__(256)
radix_emit(const Segments s, const int* list, const Long l, const Key* gathered, const Output out) {
  const int count = out.counts[LONG];
  for (int m = blockIdx.y; m < count; m += gridDim.y) {
    const int first = blockIdx.x * BLOCK + threadIdx.x;
    const bool has_nan = emit(s, out, list[m], gathered + l.base[m], first, gridDim.x * BLOCK);
    if (has_nan && threadIdx.x == 0 && !atomicExch(&l.radix[m].has_nan, 1)) note_nan(out, list[m]);
  }
}

// The reference's heap, smallest on top, in the output row itself; place k is the one beyond the row.
struct Heap {
  T* values;
  int* indices;
  int k;
  T spare_value;
  int spare_index;
  struct Entry {
    T value;
    int index;
  };
  __device__ Entry get(int i) const { return i < k ? Entry{values[i], indices[i]} : Entry{spare_value, spare_index}; }
  __device__ void set(int i, Entry e) {
    if (i < k) values[i] = e.value, indices[i] = e.index;
    else spare_value = e.value, spare_index = e.index;
  }
  // As the reference compares: false wherever a NaN takes part.
  __device__ static bool above(Entry a, Entry b) {
    const T x = ordered(a.value), y = ordered(b.value);
    return x && y && (x > y || (x == y && a.index < b.index));
  }
  __device__ void rise(int hole, Entry e) {
    for (; hole > 0 && above(get((hole - 1) / 2), e); hole = (hole - 1) / 2) set(hole, get((hole - 1) / 2));
    set(hole, e);
  }
  // The top goes to place n - 1, the other n - 1 entries are a heap again.
  __device__ void pop(int n) {
    if (--n == 0) return;
    const Entry e = get(n);
    set(n, get(0));
    int hole = 0, child = 0;
    while (child < (n - 1) / 2) {
      child = 2 * (child + 1);
      if (above(get(child), get(child - 1))) --child;
      set(hole, get(child));
      hole = child;
    }
    if ((n & 1) == 0 && child == (n - 2) / 2) {
      child = 2 * (child + 1) - 1;
      set(hole, get(child));
      hole = child;
    }
    rise(hole, e);
  }
};

// A warp owns a segment with a NaN among its first k elements: lane 0 keeps the heap, all look for what may enter it.
extern "C" __global__ void __launch_bounds__(256) heap_rows(const Segments s, const Output out) {
  const int lane = threadIdx.x & 31, count = out.counts[NAN_ROWS];
  const long long warp = ((long long)blockIdx.x * BLOCK + threadIdx.x) / 32, warps = (long long)gridDim.x * WARPS;
  for (long long item = warp; item < count; item += warps) {
    const long long row = out.nan_rows[item];
    const T* segment = s.x + s.offsets[row];
    const int length = s.lengths[row], held = lower(s.k, length);
    Heap heap{out.values + row * s.k, out.indices + row * s.k, s.k, 0, 0};
    if (lane == 0) for (int i = 0; i < held; ++i) heap.rise(i, {segment[i], i});
    for (long long start = held; start < length; start += 32) {
      const long long i = start + lane;
      const T bits = i < length ? segment[i] : T(0);
      for (unsigned done = 0;;) {  // lanes below `done` have had their turn
        __syncwarp();
        const T top = ordered(heap.values[0]);
        const unsigned votes = __ballot_sync(ALL, lane >= done && i < length && top && ordered(bits) > top);
        __syncwarp();
        if (!votes) break;
        const int turn = __ffs(votes) - 1;
        const T value = T(__shfl_sync(ALL, Word(bits), turn));
        if (lane == 0) heap.rise(s.k, {value, int(start + turn)}), heap.pop(s.k + 1);
        done = turn + 1;
      }
    }
    if (lane == 0) for (int n = held; n > 1; --n) heap.pop(n);
    for (int q = held + lane; q < s.k; q += 32) heap.values[q] = 0, heap.indices[q] = -1;
    __syncwarp();
  }
}

// A thread owns one entry of TopKIndices: it puts the gradient of that value where the value stood. x must be zero.
extern "C" __global__ void lengths_top_k_gradient(const long long* offsets, const int* lengths, const int* indices,
                                                  const T* dvalue, T* x, long long n, int k, int* bad) {
  const long long stride = (long long)gridDim.x * BLOCK;
  for (long long i = (long long)blockIdx.x * BLOCK + threadIdx.x; i < n * k; i += stride) {
    const long long row = i / k;
    const int length = lengths[row], index = indices[i];
    if (i % k >= length) continue;
    if (index < 0 || index >= length) atomicExch(bad, 1);
    else x[offsets[row] + index] = dvalue[i];
  }
}
