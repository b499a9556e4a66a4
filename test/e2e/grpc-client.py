"""A client of errand's gRPC face that knows the address, the compiler and nothing else: services and messages it learns by reflection.
usage: grpc-client.py ADDRESS DEVICE OUT PROTOC PROTO_DIR… ; prints one JSON object: what it saw, step by step. Decides nothing; grpc.test.ts does."""
import importlib.util, json, subprocess, sys, threading, time, uuid
import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

ADDRESS, DEVICE, OUT, PROTOC, *PATHS = sys.argv[1:]
DONE = ('COMPLETED', 'FAILED', 'CANCELLED')
channel = grpc.insecure_channel(ADDRESS)


def protoc(*args):
    subprocess.run([*json.loads(PROTOC), *('-I' + path for path in PATHS), *args], check=True)


def class_of(descriptor):
    get = getattr(message_factory, 'GetMessageClass', None)
    return get(descriptor) if get else message_factory.MessageFactory(pool).GetPrototype(descriptor)


def reflected():
    """Every file of every service that the server lists, and the list."""
    protoc('--python_out=' + OUT, 'grpc/reflection/v1alpha/reflection.proto')
    sys.path.insert(0, OUT)
    sys.modules.pop('grpc.reflection', None)
    spec = importlib.util.spec_from_file_location('reflection_pb2', OUT + '/grpc/reflection/v1alpha/reflection_pb2.py')
    pb = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pb)
    ask = channel.stream_stream('/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
                                request_serializer=pb.ServerReflectionRequest.SerializeToString,
                                response_deserializer=pb.ServerReflectionResponse.FromString)
    one = lambda **question: next(iter(ask(iter([pb.ServerReflectionRequest(**question)]), timeout=10)))
    names = [service.name for service in one(list_services='*').list_services_response.service]
    files = {}
    for name in names:
        for raw in one(file_containing_symbol=name).file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(raw)
            files[file.name] = file
    return names, files


def add(files, name):
    """A file after those that it imports, as protobuf wants them."""
    for needed in files[name].dependency:
        add(files, needed)
    pool.Add(files[name]) if name not in added else None
    added.add(name)


pool, added = descriptor_pool.DescriptorPool(), set()
services, files = reflected()
for file_name in files:
    add(files, file_name)


class Service:
    """Methods by their names, with messages given as keyword arguments."""

    def __init__(self, name):
        for method in pool.FindServiceByName(name).methods:
            setattr(self, method.name, self.bound(f'/{name}/{method.name}', method))

    def bound(self, path, method):
        ends = descriptor_pb2.MethodDescriptorProto()
        method.CopyToProto(ends)
        kind = ('stream' if ends.client_streaming else 'unary') + '_' + ('stream' if ends.server_streaming else 'unary')
        asked, answered = class_of(method.input_type), class_of(method.output_type)
        call = getattr(channel, kind)(path, request_serializer=asked.SerializeToString, response_deserializer=answered.FromString)
        if ends.client_streaming:
            return lambda messages, **o: call((asked(**one) for one in messages), **o)
        return lambda message={}, timeout=None, **fields: call(asked(**{**message, **fields}), timeout=timeout)


run, tasks, health = Service('errand.v1.Exec'), Service('errand.v1.Tasks'), Service('grpc.health.v1.Health')


def plain(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=pool)


def failure(error):
    said = {key: value.decode() if isinstance(value, bytes) else value for key, value in error.trailing_metadata() or ()}
    return {'status': error.code().name, 'details': error.details(), **{key: said[key] for key in said if key.startswith('errand-')}}


def failing(ask):
    try:
        return plain(ask())
    except grpc.RpcError as error:
        return failure(error)


def command(script, **more):
    return {'device': DEVICE, 'command': ['sh', '-c', script], **more}


def rss(pid):
    with open(f'/proc/{pid}/status') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('VmRSS')) // 1024


def kinds(events):
    return [event.WhichOneof('event') for event in events]


def printed(events, name):
    return b''.join(getattr(event, name) for event in events if event.WhichOneof('event') == name)


def state_of(task):
    return plain(run.Status(id=task))['state']


def until(ask):
    end = time.monotonic() + 20
    while not ask():
        if time.monotonic() > end:
            raise SystemExit('not within 20 s')
        time.sleep(0.02)
    return True


def descriptors():
    protoc('--include_imports', f'--descriptor_set_out={OUT}/set', 'errand/v1/exec.proto')
    with open(OUT + '/set', 'rb') as compiled:
        wanted = {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(compiled.read()).file}
    for file in [file for name in wanted for file in (wanted[name], files[name])]:
        for message in file.message_type:  # no part of the wire format; protobufjs does not know it
            for field in message.field:
                field.ClearField('proto3_optional'), field.ClearField('json_name')
    return {'listed': services, 'same': [name for name in wanted if outline(wanted[name]) == outline(files[name])], 'wanted': list(wanted)}


def outline(file):
    fields = lambda message, path: [(path, f.name, f.number, f.type, f.label, f.type_name) for f in message.field] + [
        line for nested in message.nested_type for line in fields(nested, path + '.' + nested.name)]
    methods = [(s.name, m.name, m.input_type, m.output_type, m.client_streaming, m.server_streaming) for s in file.service for m in s.method]
    return [line for message in file.message_type for line in fields(message, message.name)], methods, list(file.dependency)


def steady(ask):
    last = []
    return lambda: (last.append(ask()), len(last) > 5 and len(set(last[-5:])) == 1)[1]


def execute():
    return plain(run.Execute(command('printf out; printf err >&2; cat; exit 7', stdin=b'in', environment={'A': 'b'})))


def stream():
    events = list(run.ExecuteStream(command('printf out; printf err >&2; exit 3')))
    return {'kinds': kinds(events), 'stdout': printed(events, 'stdout').decode(), 'stderr': printed(events, 'stderr').decode(),
            'ended': plain(events[-1].ended), 'offset': events[-1].next_offset}


def interactive():
    """The next line goes out when the last one was answered."""
    answered = threading.Semaphore(0)

    def said():
        yield {'start': command('while read line; do echo "heard $line"; done; exit 5')}
        for line in (b'one\n', b'two\n'):
            yield {'stdin': line}
            answered.acquire()

    heard = []
    for event in run.ExecuteInteractive(said()):
        heard.append(event)
        if event.WhichOneof('event') == 'stdout':
            answered.release()
    return {'stdout': printed(heard, 'stdout').decode(), 'exit': heard[-1].ended.exit_code}


def cancelled():
    call = run.ExecuteStream(command('echo here; sleep 600'))
    first = next(event.accepted.id for event in call if event.WhichOneof('event') == 'accepted')
    running = state_of(first)
    task = plain(run.Cancel(id=first))
    rest = list(call)
    return {'running': running, 'task': task, 'ended': plain(rest[-1].ended), 'again': failing(lambda: run.Cancel(id=first))}


def hung_up():
    call = run.ExecuteStream(command('echo here; sleep 600'))
    task = next(event.accepted.id for event in call if event.WhichOneof('event') == 'accepted')
    call.cancel()
    until(lambda: state_of(task) in DONE)
    return {'state': state_of(task)}


def deadline():
    task = str(uuid.uuid4())
    late = failing(lambda: run.Execute(command('sleep 600', id=task), timeout=1))
    until(lambda: state_of(task) in DONE)
    return {'status': late['status'], 'state': state_of(task)}


def submitted():
    watch = tasks.StreamTaskUpdates()
    first = next(iter(watch))
    task = plain(tasks.SubmitTask(command('printf abc; exit 4', description='from Python', metadata={'k': 'v'})))
    seen = []
    for update in watch:
        changed = update.changed
        if changed.task.id == task['id']:
            seen.append(plain(changed)['task'])
        if seen and seen[-1]['state'] in DONE:
            break
    watch.cancel()
    output = list(tasks.Attach(id=task['id'], offset=1))
    return {'first': first.WhichOneof('update'), 'task': task, 'states': [one['state'] for one in seen], 'last': seen[-1],
            'attached': printed(output, 'stdout').decode(), 'kinds': kinds(output), 'events': len(plain(tasks.GetTask(id=task['id'], events=True))['events_json']),
            'listed': any(one.id == task['id'] for one in tasks.ListTasks().tasks)}


def steered():
    task = tasks.SubmitTask(command('sleep 600')).id
    until(lambda: state_of(task) == 'RUNNING')
    return [plain(ask(id=task))['state'] for ask in (tasks.PauseTask, tasks.ResumeTask, tasks.CancelTask)]


def errors():
    return {'unknown': failing(lambda: tasks.GetTask(id=str(uuid.uuid4()))), 'device': failing(lambda: run.Execute(device='nobodys', command=['true'])),
            'large': failing(lambda: run.Execute(command('cat', stdin=b'x' * (2 << 20)))), 'bad': failing(lambda: run.Execute(device=DEVICE)),
            'method': failing(lambda: channel.unary_unary('/errand.v1.Exec/Nothing')(b''))}


def flow():
    """Much output to a reader that stops for a while, and much input to a command that does: what the node's memory does meanwhile."""
    pid = tasks.GetStatus().pid
    total, before = 100 << 20, rss(pid)
    call, got, most = run.ExecuteStream(command(f'head -c {total} /dev/zero')), 0, 0
    for count, event in enumerate(call):
        got += len(event.stdout)
        if count in (50, 500):
            until(steady(lambda: rss(pid)))
        if count % 100 == 0:
            most = max(most, rss(pid))
    chunk = b'x' * (256 << 10)
    blocks = ({'stdin': chunk} for _ in range(400))
    said = (message for part in ([{'start': command('sleep 1; wc -c')}], blocks) for message in part)
    counted = printed(list(run.ExecuteInteractive(said)), 'stdout')
    return {'output': got == total, 'input': int(counted) == 400 * len(chunk), 'grew_mib': max(most, rss(pid)) - before}


def views():
    return {'status': plain(tasks.GetStatus()), 'devices': plain(tasks.ListDevices()), 'agents': plain(tasks.ListAgents()), 'skills': plain(tasks.ListSkills()),
            'health': [plain(health.Check(service=name)) for name in ('', 'errand.v1.Exec', 'errand.v1.Tasks')],
            'version': grpc.__version__}


STEPS = (descriptors, views, execute, stream, interactive, cancelled, hung_up, deadline, submitted, steered, errors, flow)
print(json.dumps({step.__name__: step() for step in STEPS}))
