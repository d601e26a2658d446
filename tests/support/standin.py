"""A CPU that passes for CUDA GPUs, so that device mistakes show without a card.

Every tensor stays where it is, in CPU memory; its storage carries a tag, the number of the GPU it pretends to be on.
`with StandIn() as gpu:` patches torch so that `device="cuda"`, `.to`, `.cuda`, `.device`, `.is_cuda`, `torch.cuda.*`
and CUDA graphs work by these tags. Python sees GPUs; C++ and autograd see a CPU. What a GPU would refuse is raised:

* an operation on tensors of different devices (0-dim CPU tensors may join elementwise ones, CPU indices may index);
* a generator of one device for numbers on another; `.numpy()` of a GPU tensor; integer matrix products;
* what has no deterministic form on CUDA, where torch.use_deterministic_algorithms is on;
* during a capture: waiting for the device, a copy from the CPU, capture on the default stream;
* a capture into a pool all of whose graphs are gone (the allocator's `use_count > 0` assertion).

A captured graph is a tape of operations on fixed memory: capture leaves values as they were, `replay` does the work, so
a Python number or a step counter that was baked in gives wrong results here as on a card. `gpu.waits` counts by line
what makes the host wait for the device (or copies from pageable memory to it), `gpu.kernels` operations that would be
kernels, `gpu.graphs` the graphs with their operations, `gpu.notes` other suspicious things.

Not shown: real speed and memory, races between streams (TORCH_CUDA_SANITIZER=1 on a card does that), autocast's own
choice of types, kernels that differ from the CPU's, non-determinism.
"""

import contextlib
import sys
from collections import Counter
from types import SimpleNamespace
from unittest import mock

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only

functorch = torch._C._functorch

COPIES = {"aten::copy_", "aten::_foreach_copy_", "aten::set_"}
WAITS = {  # the host reads a number, or a size, from the device
    *("aten::_local_scalar_dense", "aten::equal", "aten::nonzero", "aten::masked_select", "aten::is_nonzero"),
    *("aten::_unique2", "aten::_unique", "aten::unique_dim", "aten::unique_consecutive", "aten::bincount"),
    *("aten::_linalg_check_errors", "aten::linalg_eig", "aten::repeat_interleave", "aten::argwhere"),
    *("aten::linalg_cholesky", "aten::linalg_inv", "aten::linalg_lstsq", "aten::_linalg_eigh"),
}
SAME_DEVICE = {  # 0-dim CPU tensors are refused here, too
    *("aten::cat", "aten::stack", "aten::index_select", "aten::gather", "aten::index_copy_", "aten::index_copy"),
    *("aten::mm", "aten::bmm", "aten::addmm", "aten::equal", "aten::searchsorted", "aten::embedding"),
}
PRODUCTS = {"aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm", "aten::addmv", "aten::mv", "aten::dot"}
UNDETERMINED = {  # see torch.use_deterministic_algorithms
    *("aten::_adaptive_avg_pool2d_backward", "aten::adaptive_max_pool2d_backward", "aten::reflection_pad2d_backward"),
    *("aten::put_", "aten::histc", "aten::upsample_bilinear2d_backward", "aten::median", "aten::nll_loss2d_forward"),
    *("aten::avg_pool3d_backward", "aten::_cdist_backward", "aten::grid_sampler_2d_backward", "aten::kthvalue"),
}
UNDECLARED = {"aten::native_batch_norm", "aten::cudnn_batch_norm", "aten::miopen_batch_norm"}  # they write statistics
NO_KERNEL = {"aten::empty", "aten::empty_like", "aten::new_empty", "aten::empty_strided", "aten::new_empty_strided"}


MAKERS = (torch.tensor, torch.as_tensor, torch.asarray)


def plain(tensor: Tensor) -> Tensor:
    """What is inside the wrappers of vmap and grad."""
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


def tensors_in(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class Stream:
    def __init__(self, owner: "StandIn", index: int, default: bool = False):
        self.owner, self.device_index, self.default = owner, index, default
        self.device = torch.device("cuda", index)
        self.cuda_stream = id(self)

    def wait_stream(self, other: "Stream") -> None:
        if other.device_index != self.device_index:
            self.owner.note(f"a stream of cuda:{self.device_index} waits for one of cuda:{other.device_index}")

    def wait_event(self, _: object) -> None: ...
    def synchronize(self) -> None:
        self.owner.wait("Stream.synchronize")


class StandIn:
    """`count` GPUs; `package` is the part of a file's path whose lines are named for waits and notes."""

    def __init__(self, count: int = 1, package: str = "al_runner", deterministic: bool = True):
        self.count, self.package, self.deterministic = count, package, deterministic
        self.tags: dict[int, tuple[StorageWeakRef, int]] = {}
        self.waits: Counter[str] = Counter()
        self.kernels: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.mismatches: Counter[str] = Counter()
        self.graphs: list[Graph] = []
        self.current = 0
        self.defaults = [Stream(self, index, default=True) for index in range(count)]
        self.streams = list(self.defaults)
        self.capturing: Graph | None = None
        self.pools: Counter[tuple[int, int]] = Counter()
        self.dead: set[tuple[int, int]] = set()
        self.contexts: list[int | None] = []
        self._limit = 4096

    def index(self, tensor: Tensor) -> int | None:
        """The GPU a tensor pretends to be on; None for the CPU."""
        try:
            held = self.tags.get(plain(tensor).untyped_storage()._cdata)
        except (NotImplementedError, RuntimeError):  # sparse, mkldnn
            return None
        return held[1] if held else None

    def tag(self, tensor: Tensor, index: int) -> None:
        with contextlib.suppress(NotImplementedError, RuntimeError):
            storage = tensor.untyped_storage()
            if storage._cdata not in self.tags:
                # A weak reference keeps the address from being used again, so a tag never passes to another tensor.
                self.tags[storage._cdata] = StorageWeakRef(storage), index
            if len(self.tags) > self._limit:
                self.tags = {key: held for key, held in self.tags.items() if not held[0].expired()}
                self._limit = 2 * len(self.tags) + 4096

    def number(self, device: object) -> int | None:
        """Of a device in any form; None: the CPU."""
        device = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)  # type: ignore[arg-type]
        return None if device.type != "cuda" else self.current if device.index is None else device.index

    def line(self) -> str:
        """The innermost line of the package that is running, or of whatever calls torch from outside it."""
        frame, last = sys._getframe(1), None
        while frame:
            name = frame.f_code.co_filename
            if f"/{self.package}/" in name:
                return f"{name.rpartition(f'/{self.package}/')[2]}:{frame.f_lineno} {frame.f_code.co_name}"
            if last is None and "/torch/" not in name and name != __file__:
                last = f"{name}:{frame.f_lineno}"
            frame = frame.f_back  # type: ignore[assignment]
        return last or "?"

    def wait(self, what: str) -> None:
        if self.capturing:
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({what}, {self.line()})")
        self.waits[f"{self.line()} [{what}]"] += 1

    def note(self, what: str) -> None:
        self.notes[f"{self.line()} [{what}]"] += 1

    def refuse(self, what: str) -> None:
        self.mismatches[f"{self.line()} [{what}]"] += 1
        raise RuntimeError(f"{what} ({self.line()})")

    def run(self, func, args, kwargs):  # noqa: PLR0912 - a branch for each kind of operation
        name, found = func._schema.name, tensors_in((args, kwargs))
        places = [self.index(tensor) for tensor in found]
        gpus = sorted({place for place in places if place is not None})
        wanted = self.number(kwargs["device"]) if kwargs.get("device") is not None else None
        if "device" in kwargs:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        if name == "aten::_to_copy" and found:  # without tensors: a Python number
            (source,) = places
            index = wanted if wanted is not None else source
            if index != source:
                self.copied(found[0], source, index, kwargs.get("non_blocking", False))
        elif name in COPIES:
            index = places[0]
            if name == "aten::copy_" and places[0] != places[1] and found[1].numel():
                self.copied(found[1], places[1], places[0], kwargs.get("non_blocking", len(args) > 2 and args[2]))
        elif not found:  # a factory; C++ takes the device from tensors that it believes on the CPU
            context = self.contexts[-1] if self.contexts else None
            index = wanted if wanted is not None else context
        else:
            index = wanted if wanted is not None else gpus[0] if gpus else None
            if gpus:
                self.require_one_device(func, name, args, found, places, gpus)
        if index is not None:
            self.examine(func, name, args, kwargs, found, index)
        if self.capturing and index is not None:
            result = self.capturing.record(func, args, kwargs)
        else:
            result = func(*args, **kwargs)
        if index is not None:
            old = {id(tensor) for tensor in found}
            for tensor in tensors_in(result):
                if id(tensor) not in old:
                    self.tag(tensor, index)
        return result

    def require_one_device(self, func, name, args, found, places, gpus) -> None:
        if len(gpus) > 1:
            self.refuse(f"tensors on {', '.join(f'cuda:{gpu}' for gpu in gpus)} in {name}")
        indexing = name in ("aten::index", "aten::index_put_", "aten::_index_put_impl_", "aten::index_put")
        for tensor, place in zip(found, places, strict=True):
            if place is not None:
                continue
            if indexing and tensor is not found[0] and self.index(args[0]) is not None:
                self.wait(f"{name}: index from the CPU")
            elif tensor.ndim or name in SAME_DEVICE or (func._schema.is_mutable and tensor is found[0]):
                self.refuse(
                    f"Expected all tensors to be on the same device, but found cuda:{gpus[0]} and cpu, in {name}"
                )

    def copied(self, tensor: Tensor, source: int | None, target: int | None, non_blocking: bool) -> None:
        if target is None:
            self.wait("copy to the CPU")
        elif source is None:
            # From pageable memory it is staged: the host does not wait for the device's queue, but copies at once.
            self.wait(f"copy from the CPU{', non_blocking but pageable' if non_blocking else ''}")

    def examine(self, func, name, args, kwargs, found, index) -> None:
        """What CUDA would refuse or wait for, of an operation on one GPU."""
        generator = kwargs.get("generator") or next((a for a in args if isinstance(a, torch.Generator)), None)
        if generator is not None:
            self.refuse(f"Expected a 'cuda' device type for generator but found 'cpu', in {name}")
        masks = name in ("aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_") and any(
            tensor.dtype in (torch.bool, torch.uint8) for tensor in tensors_in(args[1])
        )
        filled = masks and name != "aten::index" and isinstance(args[2], Tensor) and args[2].numel() == 1
        if name in WAITS or (masks and not filled):
            self.wait(f"{name}{' by a mask' if masks else ''}")
        if name in PRODUCTS and not any(found[-1].dtype is t or found[-1].is_complex() for t in FLOATS):
            self.refuse(f'"{name}" not implemented for {found[-1].dtype} on CUDA')
        if self.deterministic and torch.are_deterministic_algorithms_enabled():
            floats = name == "aten::cumsum" and (kwargs.get("dtype") or found[0].dtype) in FLOATS
            if name in UNDETERMINED or floats or (name == "aten::bincount" and len(found) > 1):
                self.refuse(f"{name} does not have a deterministic implementation on CUDA")
        view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        if not view and name not in NO_KERNEL and name not in ("aten::detach", "aten::_unsafe_view"):
            self.kernels[name] += 1

    def __enter__(self) -> "StandIn":
        self.stack = contextlib.ExitStack()
        for where, name, value in self.patches():
            self.stack.enter_context(mock.patch.object(where, name, value, create=True))
        self.stack.enter_context(Functions(self))
        self.stack.enter_context(Operations(self))
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def moved(self, tensor: Tensor, index: int | None, **how) -> Tensor:
        """A differentiable copy on another device."""
        source = self.index(tensor)
        if index is not None:
            return ORIGINAL["to"](tensor, torch.device("cuda", index), **how)
        self.copied(tensor, source, None, how.get("non_blocking", False))
        with _disable_current_modes():
            out = tensor.clone(memory_format=how.get("memory_format") or torch.preserve_format)
            return ORIGINAL["to"](out, how["dtype"]) if how.get("dtype") else out

    def to(self, tensor: Tensor, *args, **kwargs) -> Tensor:
        copy = kwargs.pop("copy", False)
        if args and isinstance(args[0], Tensor):
            other = args[0]
            args, kwargs = (), {"device": other.device, "dtype": other.dtype, **kwargs}
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(*args, **kwargs)
        source = self.index(tensor)
        target = source if device is None else self.number(device)
        how = {"non_blocking": non_blocking, "copy": copy}
        if memory_format is not None:
            how["memory_format"] = memory_format
        if dtype is not None:
            how["dtype"] = dtype
        if target == source or (device is not None and device.type not in ("cpu", "cuda")):
            return ORIGINAL["to"](tensor, **how)
        return self.moved(tensor, target, **how)

    def out(self, tensor: Tensor, name: str, *args, **kwargs):
        """`numpy` is refused, `tolist` waits."""
        if self.index(tensor) is not None:
            if name != "tolist":
                self.refuse("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu()")
            self.wait(name)
            with _disable_current_modes():
                return ORIGINAL[name](tensor, *args, **kwargs)
        return ORIGINAL[name](tensor, *args, **kwargs)

    def deepcopied(self, tensor: Tensor, memo: dict) -> Tensor:  # type: ignore[type-arg]
        index = self.index(tensor)
        if index is None:
            return ORIGINAL["__deepcopy__"](tensor, memo)
        with _disable_current_modes():  # it copies the storage
            new = ORIGINAL["__deepcopy__"](tensor, memo)
        self.tag(new, index)
        return new

    def patches(self):
        here, tensor, cuda = self, torch.Tensor, torch.cuda

        def device(this: Tensor) -> torch.device:
            index = here.index(this)
            with torch._C.DisableTorchFunction():
                return ORIGINAL["device"].__get__(this) if index is None else torch.device("cuda", index)

        def stream(wanted: Stream | None):
            @contextlib.contextmanager
            def entered():
                if wanted is None:
                    yield
                    return
                before = here.current, here.streams[wanted.device_index]
                here.current, here.streams[wanted.device_index] = wanted.device_index, wanted
                try:
                    yield
                finally:
                    here.current, here.streams[wanted.device_index] = before

            return entered()

        def one(which: object = None) -> int:
            return here.current if which is None else here.number(which) or 0

        pools = iter(range(1, 2**31))
        properties = SimpleNamespace(name="stand-in", uuid="stand-in", total_memory=2**36, major=9, minor=0)
        yield tensor, "device", property(device)
        yield tensor, "is_cuda", property(lambda this: here.index(this) is not None)
        yield tensor, "is_cpu", property(lambda this: here.index(this) is None)
        yield tensor, "get_device", lambda this: -1 if (i := here.index(this)) is None else i
        # A bound method would not get the tensor.
        yield tensor, "to", lambda this, *args, **kwargs: here.to(this, *args, **kwargs)  # noqa: PLW0108
        yield tensor, "cpu", lambda this, **how: here.to(this, "cpu", **how)
        yield tensor, "cuda", lambda this, device=None, **how: here.to(this, f"cuda:{one(device)}", **how)
        for name in ("numpy", "tolist", "__array__"):
            yield tensor, name, lambda this, *a, _name=name, **k: here.out(this, _name, *a, **k)
        yield tensor, "__deepcopy__", lambda this, memo: here.deepcopied(this, memo)  # noqa: PLW0108
        for name, value in {
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "_lazy_init": lambda: None,
            "device_count": lambda: here.count,
            "current_device": lambda: here.current,
            "synchronize": lambda device=None: here.wait("torch.cuda.synchronize"),
            "empty_cache": lambda: None,
            "mem_get_info": lambda device=None: (2**34, 2**36),
            "memory_reserved": lambda device=None: 0,
            "memory_allocated": lambda device=None: 0,
            "get_device_name": lambda device=None: "stand-in",
            "get_device_properties": lambda device=None: properties,
            "get_rng_state": lambda device=None: torch.zeros(16, dtype=torch.uint8),
            "set_rng_state": lambda state, device=None: None,
            "manual_seed_all": lambda seed: None,
            "graph_pool_handle": lambda: (0, next(pools)),
            "CUDAGraph": lambda *args: Graph(here),
            "Stream": lambda device=None, *args, **kwargs: Stream(here, one(device)),
            "stream": stream,
            "current_stream": lambda device=None: here.streams[one(device)],
            "default_stream": lambda device=None: here.defaults[one(device)],
            "is_current_stream_capturing": lambda: here.capturing is not None,
        }.items():
            yield cuda, name, value
        yield torch, "autocast", lambda kind, *a, **k: ORIGINAL["autocast"]("cpu" if kind == "cuda" else kind, *a, **k)


FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
ORIGINAL = {
    **{name: getattr(torch.Tensor, name) for name in ("to", "numpy", "tolist", "__array__", "__deepcopy__", "device")},
    "autocast": torch.autocast,
}


class Graph:
    """A tape in place of a CUDA graph."""

    def __init__(self, owner: StandIn):
        self.owner, self.tape, self.pool = owner, [], None
        self.replays, self.where = 0, owner.line()
        self.saved: list[tuple[torch.UntypedStorage, torch.UntypedStorage]] = []
        self.seen: set[int] = set()

    def capture_begin(self, pool: tuple[int, int] | None = None, **_: object) -> None:
        owner = self.owner
        if owner.streams[owner.current].default:
            raise RuntimeError("CUDA graphs must be captured on a non-default stream.")
        pool = pool or torch.cuda.graph_pool_handle()
        if pool in owner.dead:
            owner.note("capture into a pool whose graphs are all gone")
            raise RuntimeError("it->second->use_count > 0 INTERNAL ASSERT FAILED (CUDACachingAllocator)")
        owner.pools[pool] += 1
        self.pool, owner.capturing = pool, self
        owner.graphs.append(weak(self))

    def capture_end(self) -> None:
        self.owner.capturing = None
        with _disable_current_modes(), torch._C.DisableTorchFunction():
            for storage, before in self.saved:
                storage.copy_(before)
        self.saved.clear()

    def record(self, func, args, kwargs):
        """Do an operation for its shapes, and keep it; what it overwrites is put back at the end of the capture."""
        for argument, value in [*zip(func._schema.arguments, args, strict=False)]:
            if argument.alias_info is not None and argument.alias_info.is_write:
                for tensor in tensors_in(value):
                    self.save(tensor)
        if func._schema.name in UNDECLARED:
            for tensor in tensors_in(args[3:5]):
                self.save(tensor)
        for value in kwargs.values():  # out=
            for tensor in tensors_in(value) if func._schema.is_mutable else ():
                self.save(tensor)
        result = func(*args, **kwargs)
        inputs = {tensor.untyped_storage()._cdata for tensor in tensors_in((args, kwargs))}
        outputs = tensors_in(result)
        new = [tensor for tensor in outputs if tensor.untyped_storage()._cdata not in inputs]
        self.seen.update(tensor.untyped_storage()._cdata for tensor in new)
        if new or func._schema.is_mutable:
            baked = tree_map_only(Tensor, lambda t: t if self.owner.index(t) is not None else t.clone(), (args, kwargs))
            self.tape.append((func, *baked, outputs if new else []))
        return result

    def save(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.seen:
            self.seen.add(storage._cdata)
            self.saved.append((storage, storage.clone()))

    def replay(self) -> None:
        self.replays += 1
        with _disable_current_modes(), torch._C.DisableTorchFunction(), torch.no_grad():
            for func, args, kwargs, outputs in self.tape:
                for old, new in zip(outputs, tensors_in(func(*args, **kwargs)), strict=False):
                    if old is not new:
                        old.detach().copy_(new)

    def reset(self) -> None:
        if self.pool is not None:
            self.owner.pools[self.pool] -= 1
            if not self.owner.pools[self.pool]:
                self.owner.dead.add(self.pool)
            self.pool = None

    def __del__(self) -> None:
        self.reset()


def weak(graph: Graph) -> SimpleNamespace:
    """What is told of a graph that may be gone; its tape is shared, not the graph."""
    return SimpleNamespace(tape=graph.tape, where=graph.where)


class Functions(TorchFunctionMode):
    """Notes of which device the tensors are that a function of torch was called with, for what C++ creates inside."""

    def __init__(self, owner: StandIn):
        super().__init__()
        self.owner = owner

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        flat = [*args, *kwargs.values()]
        flat += [item for part in flat if isinstance(part, list | tuple) for item in part]
        places = [self.owner.index(item) for item in flat if isinstance(item, Tensor)]
        self.owner.contexts.append(next((place for place in places if place is not None), None))
        try:
            if func in MAKERS and kwargs.get("device") is not None:  # a device guard of C++ would look for the card
                return func(*args, **{**kwargs, "device": "cpu"}).to(kwargs["device"])
            return func(*args, **kwargs)
        finally:
            self.owner.contexts.pop()


class Operations(TorchDispatchMode):
    """Every operation below autograd and vmap."""

    def __init__(self, owner: StandIn):
        super().__init__()
        self.owner = owner

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if torch.is_inference_mode_enabled():  # operations that are made of others arrive whole
            with self:
                result = func.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        return self.owner.run(func, args, kwargs or {})
