// cuemu runtime: fibers, block barrier, warp collectives. Never instrumented by sanitizers.
#include "cuemu.h"
#include <cstdarg>
#include <csetjmp>
#include <csignal>
#include <sys/mman.h>
#include <utility>
#include <vector>
#undef assert
#if defined(CUEMU_ASAN)
extern "C" {
void __sanitizer_start_switch_fiber(void**, const void*, size_t);
void __sanitizer_finish_switch_fiber(void*, const void**, size_t*);
void __asan_unpoison_memory_region(void const volatile*, size_t);
}
#endif
#if defined(CUEMU_TSAN)
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned);
void __tsan_destroy_fiber(void*);
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_acquire(void*);
void __tsan_release(void*);
}
#define TSAN(x) x
static const bool kTsan = true;
#else
#define TSAN(x)
static const bool kTsan = false;
#endif

extern "C" void cuemu_switch(void** save, void* to);
#if defined(__x86_64__)
asm(R"(
.text
.globl cuemu_switch
.hidden cuemu_switch
.type cuemu_switch,@function
cuemu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmpq *%rcx          # not ret: a switch never matches the return-address predictor (38 -> 14 ns)
.size cuemu_switch,.-cuemu_switch
)");
#else
#error "add a switch for this machine (or ucontext)"
#endif

namespace cuemu {
Thread* cur;
uint3 g_block;
dim3 g_bdim, g_gdim;
char* g_dyn;
enum State : unsigned char { FRESH, READY, W_BLOCK, W_WARP, DONE };
struct Fiber {
  void* sp;
  char* stack;
  size_t size;
  void* tsan;
};
struct Lane {
  Thread t;
  State st;
  Fiber* f;
  int line;
  int pred;
  Op op;
  unsigned mask;
  uint64_t v;
  int arg, width;
};
struct Warp {
  unsigned ready, blk, wrp, done, exist, yielded;
  unsigned char gen[32];
};
static std::vector<Lane> L;
static std::vector<Warp> W;
static std::vector<Fiber*> pool, retired;
static Lane* me;
static void* main_sp;
static void (*g_entry)(void**);
static void** g_args;
static char err[4096];
static bool failed;
static int bar_result;
// TSan sync objects: addresses only.  Every block gets its own, else one block's barrier would order the next block.
[[maybe_unused]] static char sync_mem[1 << 22];
[[maybe_unused]] static size_t sync_off;
#define BAR_SYNC(gen) (sync_mem + sync_off + (gen))
#define WARP_SYNC(warp, low, gen) (sync_mem + sync_off + 64 + (warp) * 64 + (low) * 2 + (gen))
static unsigned bar_gen;  // two, in turn: a late riser must not see early releases of the next barrier
[[maybe_unused]] static char start_sync, end_sync;
static unsigned n_live, n_blk;
static uint64_t n_switch;
static int order_mode;
static uint64_t rng;
static int strict_lines = 1, lone_active = 1;
static size_t STACK = 64 * 1024;
static sigjmp_buf trap_jmp;
static volatile sig_atomic_t trap_on;
#if defined(CUEMU_ASAN)
static const void* main_bottom;
static size_t main_size;
static void* main_fake;
#endif
[[maybe_unused]] static void* tsan_main;

static uint64_t rnd() {
  rng ^= rng << 13;
  rng ^= rng >> 7;
  rng ^= rng << 17;
  return rng;
}

static void to_main() {
#if defined(CUEMU_ASAN)
  void* fake;
  __sanitizer_start_switch_fiber(me->st == DONE ? nullptr : &fake, main_bottom, main_size);
#endif
  TSAN(__tsan_switch_to_fiber(tsan_main, 1));
  Fiber* f = me->f;
  cuemu_switch(&f->sp, main_sp);
#if defined(CUEMU_ASAN)
  __sanitizer_finish_switch_fiber(fake, &main_bottom, &main_size);
#endif
}
static void fiber_main() {
  for (;;) {
#if defined(CUEMU_ASAN)
    __sanitizer_finish_switch_fiber(nullptr, &main_bottom, &main_size);
#endif
    TSAN(__tsan_acquire(&start_sync));
    g_entry(g_args);
    TSAN(__tsan_release(&end_sync));
    me->st = DONE;
    to_main();
  }
}
static void prime(Fiber* f) {  // (re)start at fiber_main with an empty stack
  uintptr_t* s = (uintptr_t*)(f->stack + f->size);
  *--s = 0;
  *--s = (uintptr_t)&fiber_main;  // rsp % 16 == 8 on entry, as after a call
  for (int i = 0; i < 6; ++i) *--s = 0;
  f->sp = s;
}
static Fiber* get_fiber() {
  if (!pool.empty()) {
    Fiber* f = pool.back();
    pool.pop_back();
    return f;
  }
  static unsigned color;
  Fiber* f = new Fiber;
  f->size = STACK - (color++ * 320 & 4032);  // spread stack tops over cache sets
  char* m =
      (char*)mmap(nullptr, STACK + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  mprotect(m, 4096, PROT_NONE);  // guard page: stack overflow faults
  f->stack = m + 4096;
  TSAN(f->tsan = __tsan_create_fiber(0));
  return f;
}
static void run(Lane& l) {
  me = &l;
  cur = &l.t;
  ++n_switch;
  if (l.st == FRESH) {
    l.f = get_fiber();
    prime(l.f);
  }
  l.st = READY;
#if defined(CUEMU_ASAN)
  __sanitizer_start_switch_fiber(&main_fake, l.f->stack, l.f->size);
#endif
  TSAN(__tsan_switch_to_fiber(l.f->tsan, 1));
  cuemu_switch(&main_sp, l.f->sp);
#if defined(CUEMU_ASAN)
  __sanitizer_finish_switch_fiber(main_fake, nullptr, nullptr);
#endif
}
void fail(const char* fmt, ...) {
  int n = snprintf(err, sizeof err, "block (%u,%u,%u)", g_block.x, g_block.y, g_block.z);
  if (me) n += snprintf(err + n, sizeof err - n, " thread (%u,%u,%u)", me->t.tid.x, me->t.tid.y, me->t.tid.z);
  n += snprintf(err + n, sizeof err - n, ": ");
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(err + n, sizeof err - n, fmt, ap);
  va_end(ap);
  failed = true;
  for (;;) to_main();
}
int syncthreads(int line, int pred, int kind) {
  Lane* l = me;
  l->line = line;
  l->pred = pred;
  l->arg = kind;
  l->st = W_BLOCK;
  [[maybe_unused]] unsigned gen = bar_gen & 1;
  TSAN(__tsan_release(BAR_SYNC(gen)));
  Warp& w = W[l->t.warp];
  unsigned b = 1u << l->t.lane;
  w.ready &= ~b;
  w.blk |= b;
  ++n_blk;
  to_main();
  TSAN(__tsan_acquire(BAR_SYNC(gen)));
  return kind == 0 ? 0 : kind == 1 ? bar_result : kind == 2 ? bar_result == (int)n_live : bar_result != 0;
}
static int sx(uint64_t v) { return (int)(unsigned)v; }
static void complete(Warp& w, unsigned wi, unsigned grp, Op op) {  // all live lanes of the mask are here
  uint64_t res[32];
  Lane* base = &L[wi * 32];
  uint64_t red = 0;
  bool first = true;
  unsigned ball = 0;
  for (unsigned m = grp; m; m &= m - 1) {
    Lane& l = base[__builtin_ctz(m)];
    uint64_t v = l.v;
    if (v && op == BALLOT) ball |= m & -m;
    if (first) {
      red = v;
      first = false;
    } else switch (op) {
        case RED_ADD:
          red = (unsigned)(red + v);
          break;
        case RED_MIN_S:
          if (sx(v) < sx(red)) red = v;
          break;
        case RED_MAX_S:
          if (sx(v) > sx(red)) red = v;
          break;
        case RED_MIN_U:
          if (v < red) red = v;
          break;
        case RED_MAX_U:
          if (v > red) red = v;
          break;
        case RED_AND:
          red &= v;
          break;
        case RED_OR:
          red |= v;
          break;
        case RED_XOR:
          red ^= v;
          break;
        default:
          break;
      }
  }
  for (unsigned m = grp; m; m &= m - 1) {
    unsigned i = __builtin_ctz(m);
    Lane& l = base[i];
    unsigned src = i;
    int wd = l.width, seg = i & ~(wd - 1);
    switch (op) {
      case SHFL:
        src = seg + (l.arg & (wd - 1));
        break;
      case SHFL_UP:
        src = (int)(i - l.arg) < seg ? i : i - l.arg;
        break;
      case SHFL_DOWN:
        src = (int)i + l.arg >= seg + wd ? i : i + l.arg;
        break;
      case SHFL_XOR:
        src = i ^ l.arg;
        if ((int)src >= seg + wd) src = i;
        break;
      case BALLOT:
        res[i] = ball;
        continue;
      case MATCH_ANY: {
        unsigned r = 0;
        for (unsigned q = grp; q; q &= q - 1)
          if (base[__builtin_ctz(q)].v == l.v) r |= q & -q;
        res[i] = r;
        continue;
      }
      case MATCH_ALL: {
        bool all = true;
        for (unsigned q = grp; q; q &= q - 1) all &= base[__builtin_ctz(q)].v == l.v;
        res[i] = all ? grp : 0;
        continue;
      }
      case SYNCWARP:
        res[i] = 0;
        continue;
      default:
        res[i] = red;
        continue;
    }
    res[i] = (grp >> src) & 1 ? base[src].v : ~0ull;  // reading a lane that is not there: poison
  }
  for (unsigned m = grp; m; m &= m - 1) {
    Lane& l = base[__builtin_ctz(m)];
    l.v = res[__builtin_ctz(m)];
    l.st = READY;
  }
  w.wrp &= ~grp;
  w.ready |= grp;
}
static void try_complete(Warp& w, unsigned wi, Op op, unsigned mask) {
  unsigned need = mask & w.exist & ~w.done;
  if (!need || (w.wrp & need) != need) return;
  Lane* base = &L[wi * 32];
  for (unsigned m = need; m; m &= m - 1) {
    Lane& l = base[__builtin_ctz(m)];
    if (l.mask != mask || l.op != op) return;
  }
  if (op == SYNCWARP) ++w.gen[__builtin_ctz(mask)];
  complete(w, wi, need, op);
}
uint64_t warp_op(Op op, unsigned mask, uint64_t v, int arg, int width, int line) {
  Lane* l = me;
  unsigned b = 1u << l->t.lane;
  Warp& w = W[l->t.warp];
  if (!(mask & b))
    fail("line %d: lane %u calls a _sync warp intrinsic with mask 0x%08x that leaves it out", line, l->t.lane, mask);
  l->op = op;
  l->mask = mask;
  l->v = v;
  l->arg = arg;
  l->width = width;
  l->line = line;
  l->st = W_WARP;
  [[maybe_unused]] unsigned low = __builtin_ctz(mask), gen = w.gen[low] & 1;
  TSAN(if (op == SYNCWARP) __tsan_release(WARP_SYNC(l->t.warp, low, gen)));
  w.ready &= ~b;
  w.wrp |= b;
  try_complete(w, l->t.warp, op, mask);
  if (l->st != READY) to_main();
  TSAN(if (op == SYNCWARP) __tsan_acquire(WARP_SYNC(l->t.warp, low, gen)));
  return l->v;
}
unsigned active_mask() {  // the spec promises no convergence: be adversarial by default
  Warp& w = W[me->t.warp];
  return lone_active ? 1u << me->t.lane : w.exist & ~w.done;
}
[[maybe_unused]] static char fence_sync;
void fence() { TSAN(__tsan_acquire(&fence_sync); __tsan_release(&fence_sync)); }
void yield_thread() {
  Warp& w = W[me->t.warp];
  unsigned b = 1u << me->t.lane;
  w.ready &= ~b;
  w.yielded |= b;
  to_main();
}

static unsigned pick(unsigned ready) {
  if (order_mode == 0) return __builtin_ctz(ready);
  if (order_mode == 1) return 31 - __builtin_clz(ready);
  unsigned k = rnd() % __builtin_popcount(ready);
  while (k--) ready &= ready - 1;
  return __builtin_ctz(ready);
}
static void deadlock() {
  int n = snprintf(err, sizeof err, "block (%u,%u,%u): deadlock;", g_block.x, g_block.y, g_block.z);
  int shown = 0;
  for (Lane& l : L)
    if ((l.st == W_BLOCK || l.st == W_WARP) && shown++ < 12 && n < (int)sizeof err - 200)
      n += l.st == W_BLOCK
               ? snprintf(err + n, sizeof err - n, " t%u at __syncthreads line %d;", l.t.lin, l.line & 0xfffff)
               : snprintf(err + n, sizeof err - n, " t%u in warp op %d mask 0x%08x line %d;", l.t.lin, (int)l.op,
                          l.mask, l.line);
  failed = true;
}
static void run_block(const std::vector<std::pair<char*, size_t>>& shared) {
  for (auto& s : shared) {
    volatile char* p = s.first;
    for (size_t i = 0; i < s.second; ++i) p[i] = (char)0xff;
  }
  unsigned n = g_bdim.x * g_bdim.y * g_bdim.z, nw = (n + 31) / 32;
  L.resize(nw * 32);
  W.resize(nw);
  n_live = n;
  n_blk = 0;
  TSAN(sync_off += 64 + 64 * nw; if (sync_off + 64 + 64 * 33 > sizeof sync_mem) sync_off = 0);
  uint3 c = {0, 0, 0};
  for (unsigned i = 0; i < nw * 32; ++i) {
    Lane& l = L[i];
    l.st = i < n ? FRESH : DONE;
    l.f = nullptr;
    l.t = {c, i, i & 31, i >> 5};
    if (++c.x == g_bdim.x) {
      c.x = 0;
      if (++c.y == g_bdim.y) {
        c.y = 0;
        ++c.z;
      }
    }
  }
  for (unsigned w = 0; w < nw; ++w) {
    unsigned c = n - w * 32;
    unsigned e = c >= 32 ? 0xffffffffu : (1u << c) - 1;
    W[w] = Warp{e, 0, 0, 0, e, 0, {}};
  }
  while (n_live) {
    bool progress = false;
    unsigned off = order_mode == 2 ? rnd() % nw : 0;
    for (unsigned k = 0; k < nw; ++k) {
      unsigned wi = order_mode == 1 ? nw - 1 - k : (k + off) % nw;
      Warp& w = W[wi];
      if (w.yielded) {
        w.ready |= w.yielded;
        w.yielded = 0;
      }
      while (w.ready) {
        unsigned i = pick(w.ready);
        Lane& l = L[wi * 32 + i];
        progress = true;
        run(l);
        if (failed) return;
        if (l.st == DONE) {
          unsigned b = 1u << i;
          w.ready &= ~b;
          w.done |= b;
          --n_live;
          if (kTsan) retired.push_back(l.f);
          else pool.push_back(l.f);  // a TSan fiber serves one lane of a block
          l.f = nullptr;
          if (w.wrp)
            for (unsigned m = w.wrp; m; m &= m - 1) {
              Lane& q = L[wi * 32 + __builtin_ctz(m)];
              try_complete(w, wi, q.op, q.mask);
              if (w.wrp != (w.wrp & m)) break;
            }
        }
      }
    }
    if (n_live && n_blk == n_live) {  // everyone who is left is at the block barrier
      int line = -1, kind = 0;
      bar_result = 0;
      for (Lane& l : L)
        if (l.st == W_BLOCK) {
          if (line < 0) {
            line = l.line;
            kind = l.arg;
          } else if (strict_lines && (l.line != line || l.arg != kind)) {
            me = &l;
            snprintf(err, sizeof err,
                     "block (%u,%u,%u): divergent __syncthreads: thread %u at line %d, others at line %d", g_block.x,
                     g_block.y, g_block.z, l.t.lin, l.line & 0xfffff, line & 0xfffff);
            failed = true;
            return;
          }
          bar_result += l.pred;
        }
      for (Lane& l : L)
        if (l.st == W_BLOCK) l.st = READY;
      for (Warp& w : W) {
        w.ready |= w.blk;
        w.blk = 0;
      }
      n_blk = 0;
      ++bar_gen;
    } else if (n_live && !progress) {
      deadlock();
      return;
    }
  }
}
static void on_trap(int sig, siginfo_t* si, void*) {
  if (trap_on) {
    trap_on = sig;
    snprintf(err, sizeof err, "block (%u,%u,%u) thread (%u,%u,%u): %s at address %p", g_block.x, g_block.y, g_block.z,
             cur ? cur->tid.x : 0, cur ? cur->tid.y : 0, cur ? cur->tid.z : 0,
             sig == SIGFPE ? "arithmetic fault (integer division by zero?)" : "invalid memory access", si->si_addr);
    siglongjmp(trap_jmp, 1);
  }
}
static std::vector<std::pair<char*, size_t>> shared_vars;
}  // namespace cuemu
using namespace cuemu;

#define API extern "C" __attribute__((visibility("default")))
API void cuemu_add_shared(void* p, size_t n) { shared_vars.push_back({(char*)p, n}); }
API const char* cuemu_error() { return err; }
API uint64_t cuemu_switches() { return n_switch; }
API void cuemu_options(int order, uint64_t seed, int strict, int lone, size_t stack) {
  order_mode = order;
  rng = seed * 2654435761u + 88172645463325252ull;
  strict_lines = strict;
  lone_active = lone;
  STACK = stack;
}
API int cuemu_launch(void (*entry)(void**), const unsigned* g, const unsigned* b, void** args, size_t dyn, int traps) {
  g_entry = entry;
  g_args = args;
  g_gdim = dim3(g[0], g[1], g[2]);
  g_bdim = dim3(b[0], b[1], b[2]);
  failed = false;
  err[0] = 0;
  me = nullptr;
  uint64_t nb = (uint64_t)g[0] * g[1] * g[2];
  TSAN(tsan_main = __tsan_get_current_fiber());
  struct sigaction old[3], sa;
  const int sigs[3] = {SIGSEGV, SIGBUS, SIGFPE};
  static char alt[65536];
  stack_t ss = {}, oss;
  if (traps) {
    ss.ss_sp = alt;
    ss.ss_size = sizeof alt;
    sigaltstack(&ss, &oss);
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on_trap;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int i = 0; i < 3; ++i) sigaction(sigs[i], &sa, &old[i]);
    trap_on = 1;
  }
  if (!traps || sigsetjmp(trap_jmp, 1) == 0) {
    std::vector<uint32_t> perm;
    if (order_mode == 2) {
      perm.resize(nb);
      for (uint64_t i = 0; i < nb; ++i) perm[i] = i;
      for (uint64_t i = nb; i > 1; --i) std::swap(perm[i - 1], perm[rnd() % i]);
    }
    for (uint64_t i = 0; i < nb && !failed; ++i) {
      uint64_t j = order_mode == 0 ? i : order_mode == 1 ? nb - 1 - i : perm[i];
      g_block = {(unsigned)(j % g[0]), (unsigned)(j / g[0] % g[1]), (unsigned)(j / ((uint64_t)g[0] * g[1]))};
      g_dyn = dyn ? (char*)aligned_alloc(16, (dyn + 15) / 16 * 16) : nullptr;
#if defined(CUEMU_ASAN)
      if (dyn) {
        free(g_dyn);
        g_dyn = (char*)malloc(dyn);
      }  // exact size: redzone right behind it
#endif
      for (size_t q = 0; q < dyn; ++q) ((volatile char*)g_dyn)[q] = (char)0xff;
      TSAN(if (i == 0 || dyn || !shared_vars.empty()) __tsan_release(&start_sync));
      run_block(shared_vars);
      // blocks that share no emulated shared memory stay unordered: cross-block races show
      TSAN(if (i + 1 == nb || dyn || !shared_vars.empty()) __tsan_acquire(&end_sync));
      free(g_dyn);
      // a reused TSan fiber still knows what its last lane knew: with unordered blocks recycle as late as its 8k-thread
      // limit allows
      TSAN(if (i + 1 == nb || dyn || !shared_vars.empty() || retired.size() > 3000) {
        for (Fiber* f : retired) pool.push_back(f);
        retired.clear();
      });
    }
  } else failed = true;
  if (traps) {
    trap_on = 0;
    for (int i = 0; i < 3; ++i) sigaction(sigs[i], &old[i], nullptr);
    sigaltstack(&oss, nullptr);
  }
  if (failed) {
    L.clear();
    pool.clear();
  }  // abandoned fibers: leak their stacks, the run is lost anyway
  return failed;
}
