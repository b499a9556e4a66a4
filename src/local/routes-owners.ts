/** Routes for who owns the mesh, and for what the recovery words decide. */
import {
  OwnerCardView,
  OwnerChangeRequest,
  OwnerChangeView,
  OwnerKeyView,
  OwnerSignRequest,
  OwnersView,
  PassphraseRequest,
  RecoverRequest,
  RecoveryDraft,
  RecoveryDraftRequest,
  RecoveryKey,
  UnlockRequest,
} from '../../protocols/local/owners.ts'
import { get, json, post, type Route, route } from './route.ts'

export const OWNER_ROUTES: readonly Route[] = [
  route(get('/api/runtime/owners', 'Who owns the mesh, and changes that wait for signatures.', json(OwnersView)), {}, ({ runtime }) => runtime.owners.list()),
  route(post('/api/runtime/owners/card', 'Makes an owner’s key here where there is none, and its card.', json(OwnerCardView)), {}, ({ runtime }) =>
    runtime.owners.card(),
  ),
  route(
    post('/api/runtime/owners/change', 'Changes the owners, or proposes it where others have to sign as well.', json(OwnerChangeView)),
    { body: OwnerChangeRequest },
    ({ runtime, body }) => runtime.owners.change(body),
  ),
  route(post('/api/runtime/owners/sign', 'Signs a change of the owners that waits.', json(OwnerChangeView)), { body: OwnerSignRequest }, ({ runtime, body }) =>
    runtime.owners.sign(body),
  ),
  route(
    post('/api/runtime/owners/protect', 'Puts the owner’s key of this device under a passphrase.', json(OwnerKeyView)),
    { body: PassphraseRequest },
    ({ runtime, body }) => runtime.owners.protect(body),
  ),
  route(
    post('/api/runtime/owners/unlock', 'Opens the owner’s key of this device for a stated time.', json(OwnerKeyView)),
    { body: UnlockRequest },
    ({ runtime, body }) => runtime.owners.unlock(body),
  ),
  route(post('/api/runtime/owners/lock', 'Forgets the opened owner’s key.', json(OwnerKeyView)), {}, ({ runtime }) => runtime.owners.lock()),
  route(post('/api/runtime/recovery/key', 'A new key here, which the recovery words can make the owner.', json(RecoveryKey)), {}, ({ runtime }) =>
    runtime.recovery.key(),
  ),
  route(
    post('/api/runtime/recovery/draft', 'What the recovery words would have to sign to make this device’s key the owner.', json(RecoveryDraft)),
    { body: RecoveryDraftRequest },
    ({ runtime, body }) => runtime.recovery.draft(body),
  ),
  route(
    post('/api/runtime/recovery', 'Makes this device’s key the owner, by the signature of the recovery words.', json(OwnerChangeView)),
    { body: RecoverRequest },
    ({ runtime, body }) => runtime.recovery.use(body),
  ),
]
