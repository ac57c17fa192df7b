// cuemu.h -- run CUDA C++ kernel source on the CPU: one fiber per CUDA thread.
// Compile the unmodified kernel TU with  g++ -include cuemu.h -x c++ k.cu
#pragma once
#include <math.h>
#include <cmath>
#include <cfloat>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#define __CUEMU__ 1
#ifndef __CUDA_ARCH__
#define __CUDA_ARCH__ 900
#endif
#define __CUDACC_RTC__ 1

// ---------------------------------------------------------------- qualifiers
#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __grid_constant__
#define __shared__ static /* one block at a time per process */
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __align__(n) __attribute__((aligned(n)))

// -------------------------------------------------------------- vector types
#define CUEMU_V1(T, N)  \
  struct N##1 { T x; }; \
  static inline N##1 make_##N##1(T x) { return {x}; }
#define CUEMU_V2(T, N, A)             \
  struct alignas(A) N##2 { T x, y; }; \
  static inline N##2 make_##N##2(T x, T y) { return {x, y}; }
#define CUEMU_V3(T, N)        \
  struct N##3 { T x, y, z; }; \
  static inline N##3 make_##N##3(T x, T y, T z) { return {x, y, z}; }
#define CUEMU_V4(T, N, A)                   \
  struct alignas(A) N##4 { T x, y, z, w; }; \
  static inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
#define CUEMU_VEC(T, N) \
  CUEMU_V1(T, N) CUEMU_V2(T, N, 2 * sizeof(T)) CUEMU_V3(T, N) CUEMU_V4(T, N, (4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)))
CUEMU_VEC(signed char, char)
CUEMU_VEC(unsigned char, uchar) CUEMU_VEC(short, short) CUEMU_VEC(unsigned short, ushort) CUEMU_VEC(int, int)
    CUEMU_VEC(unsigned, uint) CUEMU_VEC(long long, longlong) CUEMU_VEC(unsigned long long, ulonglong)
        CUEMU_VEC(float, float) CUEMU_VEC(double, double) struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

// ------------------------------------------------------------------- runtime
namespace cuemu {
struct Thread {
  uint3 tid;
  unsigned lin, lane, warp;
};
extern Thread* cur;  // the running fiber's CUDA thread
extern uint3 g_block;
extern dim3 g_bdim, g_gdim;
extern char* g_dyn;  // dynamic shared memory of this block
enum Op {
  SYNCWARP,
  SHFL,
  SHFL_UP,
  SHFL_DOWN,
  SHFL_XOR,
  BALLOT,
  MATCH_ANY,
  MATCH_ALL,
  RED_ADD,
  RED_MIN_S,
  RED_MAX_S,
  RED_MIN_U,
  RED_MAX_U,
  RED_AND,
  RED_OR,
  RED_XOR
};
int syncthreads(int line, int pred = 0, int kind = 0);  // kind 0 plain 1 count 2 and 3 or
uint64_t warp_op(Op op, unsigned mask, uint64_t v, int arg, int width, int line);
unsigned active_mask();
void yield_thread();
[[noreturn]] void fail(const char* fmt, ...);
inline void* dynamic_shared() { return g_dyn; }

template <class T>
inline uint64_t to_bits(T v) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable<T>::value, "warp op type");
  uint64_t b = 0;
  memcpy(&b, &v, sizeof(T));
  return b;
}
template <class T>
inline T from_bits(uint64_t b) {
  T v;
  memcpy((void*)&v, &b, sizeof(T));
  return v;
}

// argument descriptors: <kind><size>, pointers p<kind><size>
template <class T>
struct Desc {
  static int put(char* o) { return sprintf(o, "s%zu", sizeof(T)); }
};
template <class T>
constexpr char kind_of() {
  return std::is_same<T, bool>::value       ? 'b'
         : std::is_floating_point<T>::value ? 'f'
         : std::is_signed<T>::value         ? 'i'
                                            : 'u';
}
template <class T>
struct HalfLike {
  static constexpr char value = 0;
};
template <class T>
int desc(char* o) {
  using U = typename std::remove_cv<T>::type;
  if constexpr (std::is_pointer<U>::value) {
    using P = typename std::remove_cv<typename std::remove_pointer<U>::type>::type;
    *o++ = 'p';
    if constexpr (std::is_void<P>::value) {
      strcpy(o, "v0");
      return 3;
    } else return 1 + desc<P>(o);
  } else if constexpr (std::is_arithmetic<U>::value) return sprintf(o, "%c%zu", kind_of<U>(), sizeof(U));
  else if constexpr (HalfLike<U>::value != 0) return sprintf(o, "%c%zu", HalfLike<U>::value, sizeof(U));
  else return sprintf(o, "s%zu", sizeof(U));
}
template <class... A>
const char* signature(void (*)(A...)) {
  static char buf[16 * sizeof...(A) + 2];
  char* o = buf;
  ((o += desc<A>(o), *o++ = ','), ...);
  *o = 0;
  return buf;
}
template <class... A, size_t... I>
inline void invoke_(void (*f)(A...), void** a, std::index_sequence<I...>) {
  f(*reinterpret_cast<typename std::remove_reference<A>::type*>(a[I])...);
}
template <class... A>
inline void invoke(void (*f)(A...), void** a) {
  invoke_(f, a, std::index_sequence_for<A...>{});
}
}  // namespace cuemu

#define CUEMU_EXPORT_KERNEL(id, ...)                                                                                   \
  extern "C" __attribute__((visibility("default"))) void cuemu_call_##id(void** a) { cuemu::invoke(&__VA_ARGS__, a); } \
  extern "C" __attribute__((visibility("default"))) const char* cuemu_sig_##id() {                                     \
    return cuemu::signature(&__VA_ARGS__);                                                                             \
  }

#define threadIdx (static_cast<const uint3&>(cuemu::cur->tid))
#define blockIdx (static_cast<const uint3&>(cuemu::g_block))
#define blockDim (static_cast<const dim3&>(cuemu::g_bdim))
#define gridDim (static_cast<const dim3&>(cuemu::g_gdim))
#define warpSize 32

// ------------------------------------------------------------- synchronising
#define CUEMU_SITE (__LINE__ | __COUNTER__ << 20) /* tells two barriers of one line apart */
#define __syncthreads() ((void)cuemu::syncthreads(CUEMU_SITE))
#define __syncthreads_count(p) cuemu::syncthreads(CUEMU_SITE, (p) != 0, 1)
#define __syncthreads_and(p) cuemu::syncthreads(CUEMU_SITE, (p) != 0, 2)
#define __syncthreads_or(p) cuemu::syncthreads(CUEMU_SITE, (p) != 0, 3)
struct cuemu_syncwarp {
  int line;
  void operator()(unsigned m = 0xffffffffu) const { cuemu::warp_op(cuemu::SYNCWARP, m, 0, 0, 32, line); }
};
#define __syncwarp(...) (cuemu_syncwarp{__LINE__}(__VA_ARGS__))
#define __activemask() cuemu::active_mask()
namespace cuemu {
void fence();
}
inline void __threadfence() { cuemu::fence(); }  // orders, for TSan, all threads that execute one
inline void __threadfence_block() {}
inline void __threadfence_system() { cuemu::fence(); }
inline void __nanosleep(unsigned) { cuemu::yield_thread(); }

template <class T>
inline T cuemu_shfl(cuemu::Op op, int line, unsigned m, T v, int a, int w = 32) {
  return cuemu::from_bits<T>(cuemu::warp_op(op, m, cuemu::to_bits(v), a, w, line));
}
#define __shfl_sync(...) cuemu_shfl(cuemu::SHFL, __LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) cuemu_shfl(cuemu::SHFL_UP, __LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) cuemu_shfl(cuemu::SHFL_DOWN, __LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) cuemu_shfl(cuemu::SHFL_XOR, __LINE__, __VA_ARGS__)
inline unsigned __ballot_sync(unsigned m, int p) {
  return (unsigned)cuemu::warp_op(cuemu::BALLOT, m, p != 0, 0, 32, 0);
}
inline int __any_sync(unsigned m, int p) { return __ballot_sync(m, p) != 0; }
inline int __all_sync(unsigned m, int p) { return __ballot_sync(m, !p) == 0; }
template <class T>
inline unsigned __match_any_sync(unsigned m, T v) {
  return (unsigned)cuemu::warp_op(cuemu::MATCH_ANY, m, cuemu::to_bits(v), 0, 32, 0);
}
template <class T>
inline unsigned __match_all_sync(unsigned m, T v, int* p) {
  unsigned r = (unsigned)cuemu::warp_op(cuemu::MATCH_ALL, m, cuemu::to_bits(v), 0, 32, 0);
  *p = r != 0;
  return r;
}
inline unsigned __reduce_add_sync(unsigned m, unsigned v) {
  return (unsigned)cuemu::warp_op(cuemu::RED_ADD, m, v, 0, 32, 0);
}
inline int __reduce_add_sync(unsigned m, int v) {
  return (int)cuemu::warp_op(cuemu::RED_ADD, m, (unsigned)v, 0, 32, 0);
}
inline unsigned __reduce_min_sync(unsigned m, unsigned v) {
  return (unsigned)cuemu::warp_op(cuemu::RED_MIN_U, m, v, 0, 32, 0);
}
inline unsigned __reduce_max_sync(unsigned m, unsigned v) {
  return (unsigned)cuemu::warp_op(cuemu::RED_MAX_U, m, v, 0, 32, 0);
}
inline int __reduce_min_sync(unsigned m, int v) {
  return (int)cuemu::warp_op(cuemu::RED_MIN_S, m, (unsigned)v, 0, 32, 0);
}
inline int __reduce_max_sync(unsigned m, int v) {
  return (int)cuemu::warp_op(cuemu::RED_MAX_S, m, (unsigned)v, 0, 32, 0);
}
inline unsigned __reduce_or_sync(unsigned m, unsigned v) {
  return (unsigned)cuemu::warp_op(cuemu::RED_OR, m, v, 0, 32, 0);
}
inline unsigned __reduce_and_sync(unsigned m, unsigned v) {
  return (unsigned)cuemu::warp_op(cuemu::RED_AND, m, v, 0, 32, 0);
}

// ------------------------------------------------------------------- atomics
template <class T>
struct cuemu_id {
  typedef T type;
};
template <class T, class F>
inline T cuemu_rmw(T* p, F f) {
  typedef typename std::conditional<sizeof(T) == 8, uint64_t,
                                    typename std::conditional<sizeof(T) == 4, uint32_t, uint16_t>::type>::type U;
  U* q = reinterpret_cast<U*>(p);
  U o = __atomic_load_n(q, __ATOMIC_RELAXED), n;
  T ov;
  do {
    memcpy((void*)&ov, &o, sizeof(T));
    T nv = f(ov);
    memcpy(&n, &nv, sizeof(T));
  } while (!__atomic_compare_exchange_n(q, &o, n, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return ov;
}
#define CUEMU_ATOMIC(NAME, EXPR)                              \
  template <class T>                                          \
  inline T NAME(T* p, typename cuemu_id<T>::type v) {         \
    return cuemu_rmw(p, [=](T o) -> T { return EXPR; });      \
  }                                                           \
  template <class T>                                          \
  inline T NAME##_block(T* p, typename cuemu_id<T>::type v) { \
    return NAME(p, v);                                        \
  }
CUEMU_ATOMIC(atomicAdd, (T)(o + v))
CUEMU_ATOMIC(atomicSub, (T)(o - v)) CUEMU_ATOMIC(atomicExch, ((void)o, v)) CUEMU_ATOMIC(atomicMin, (v < o ? v : o))
    CUEMU_ATOMIC(atomicMax, (o < v ? v : o)) CUEMU_ATOMIC(atomicAnd, (T)(o & v)) CUEMU_ATOMIC(atomicOr, (T)(o | v))
        CUEMU_ATOMIC(atomicXor, (T)(o ^ v)) CUEMU_ATOMIC(atomicInc, (o >= v ? (T)0 : (T)(o + 1)))
            CUEMU_ATOMIC(atomicDec, (o == 0 || o > v ? v : (T)(o - 1))) template <class T>
            inline T atomicCAS(T* p, typename cuemu_id<T>::type cmp, typename cuemu_id<T>::type v) {
  return cuemu_rmw(p, [=](T o) -> T { return o == cmp ? v : o; });
}

// ------------------------------------------------------------- loads, stores
template <class T>
inline T __ldg(const T* p) {
  return *p;
}
template <class T>
inline T __ldcs(const T* p) {
  return *p;
}
template <class T>
inline T __ldca(const T* p) {
  return *p;
}
template <class T>
inline T __ldcg(const T* p) {
  return *p;
}
template <class T>
inline void __stcs(T* p, T v) {
  *p = v;
}
template <class T>
inline void __stcg(T* p, T v) {
  *p = v;
}

// ---------------------------------------------------------------------- math
template <class A, class B,
          class = typename std::enable_if<std::is_arithmetic<A>::value && std::is_arithmetic<B>::value>::type>
inline typename std::common_type<A, B>::type max(A a, B b) {
  typedef typename std::common_type<A, B>::type C;
  if constexpr (std::is_floating_point<C>::value) return std::fmax((C)a, (C)b);
  else return (C)a < (C)b ? (C)b : (C)a;
}
template <class A, class B,
          class = typename std::enable_if<std::is_arithmetic<A>::value && std::is_arithmetic<B>::value>::type>
inline typename std::common_type<A, B>::type min(A a, B b) {
  typedef typename std::common_type<A, B>::type C;
  if constexpr (std::is_floating_point<C>::value) return std::fmin((C)a, (C)b);
  else return (C)b < (C)a ? (C)b : (C)a;
}
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __saturatef(float a) { return fminf(fmaxf(a, 0.f), 1.f); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
#define CUEMU_BITS(NAME, F, T) \
  inline T NAME(F v) {         \
    T r;                       \
    memcpy(&r, &v, sizeof r);  \
    return r;                  \
  }
CUEMU_BITS(__float_as_int, float, int)
CUEMU_BITS(__float_as_uint, float, unsigned) CUEMU_BITS(__int_as_float, int, float)
    CUEMU_BITS(__uint_as_float, unsigned, float) CUEMU_BITS(__double_as_longlong, double, long long)
        CUEMU_BITS(__longlong_as_double, long long, double) inline int __popc(unsigned v) {
  return __builtin_popcount(v);
}
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll((unsigned long long)v) : 64; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }
inline unsigned __brev(unsigned v) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) r |= ((v >> i) & 1u) << (31 - i);
  return r;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((uint64_t)a * b) >> 32); }
inline int __mulhi(int a, int b) { return (int)(((int64_t)a * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}
inline int __float2int_rn(float x) { return (int)nearbyintf(x); }
inline int __float2int_rd(float x) { return (int)floorf(x); }
inline int __float2int_rz(float x) { return (int)x; }
inline long long clock64() {
  static long long c = 0;
  return ++c;
}
inline void __trap() { cuemu::fail("__trap()"); }
#undef assert
#define assert(e) ((e) ? (void)0 : cuemu::fail("line %d: assert(%s) failed", __LINE__, #e))
#define CUDART_INF_F __builtin_inff()
#define CUDART_INF __builtin_inf()
#define CUDART_NAN_F __builtin_nanf("")
#define CUDART_NAN __builtin_nan("")
