// small stand-in for CUDA's cuda_fp16.h (IEEE binary16, round to nearest even)
#pragma once
struct __half {
  _Float16 v;
  __half() = default;
  __half(float f) : v((_Float16)f) {}
  __half(double f) : v((_Float16)f) {}
  __half(int f) : v((_Float16)(float)f) {}
  operator float() const { return (float)v; }
};
typedef __half half;
struct alignas(4) __half2 {
  __half x, y;
};
typedef __half2 half2;
namespace cuemu {
template <>
struct HalfLike<__half> {
  static constexpr char value = 'f';
};
}  // namespace cuemu
inline __half __float2half(float f) { return __half(f); }
inline __half __float2half_rn(float f) { return __half(f); }
inline __half __double2half(double f) { return __half(f); }
inline float __half2float(__half h) { return (float)h.v; }
inline __half __ushort_as_half(unsigned short u) {
  __half h;
  memcpy((void*)&h, &u, 2);
  return h;
}
inline unsigned short __half_as_ushort(__half h) {
  unsigned short u;
  memcpy(&u, &h, 2);
  return u;
}
#define CUEMU_HOP(op, fn)                                                           \
  inline __half fn(__half a, __half b) { return __half((float)a.v op(float) b.v); } \
  inline __half operator op(__half a, __half b) { return fn(a, b); }
CUEMU_HOP(+, __hadd)
CUEMU_HOP(-, __hsub) CUEMU_HOP(*, __hmul) CUEMU_HOP(/, __hdiv)
#define CUEMU_HCMP(op, fn)                                                \
  inline bool fn(__half a, __half b) { return (float)a.v op(float) b.v; } \
  inline bool operator op(__half a, __half b) { return fn(a, b); }
    CUEMU_HCMP(<, __hlt) CUEMU_HCMP(>, __hgt) CUEMU_HCMP(<=, __hle) CUEMU_HCMP(>=, __hge) CUEMU_HCMP(==, __heq)
        CUEMU_HCMP(!=, __hneu) inline __half __hfma(__half a, __half b, __half c) {
  return __half((double)(float)a.v * (double)(float)b.v + (double)(float)c.v);
}
inline __half __hneg(__half a) { return __half(-(float)a.v); }
inline bool __hisnan(__half a) { return a.v != a.v; }
inline __half& operator+=(__half& a, __half b) { return a = a + b; }
inline __half2 __halves2half2(__half a, __half b) { return {a, b}; }
inline float2 __half22float2(__half2 h) { return {(float)h.x, (float)h.y}; }
