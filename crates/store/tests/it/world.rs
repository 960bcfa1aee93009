//! Two owners with a site each, and short ways to make rows for them.

use chatward_store::{
    Activation, ChunkRow, Engine, HotRow, IssuedKeyRow, LoginRow, MessageRow, MessageState, NewSite, PageRow,
    RefusedOrigin, Role, SecondFactorRow, SessionRow, Store, UsageRow, UserLinkRow, UserRow, UserState,
};
use chatward_testkit::{FakeClock, FakeEntropy, TestDb};
use chatward_types::{
    Clock, ConversationId, Entropy, Environment, KeyScope, LoginId, MessageId, OwnerId, PageId, Result, Scope,
    SessionId, SiteId, Timestamp, UsageId, UserId,
};

pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) clock: FakeClock,
    entropy: FakeEntropy,
    pub(crate) alice: Tenant,
    pub(crate) bob: Tenant,
}

#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) owner: OwnerId,
    pub(crate) scope: Scope,
    pub(crate) site: SiteId,
    pub(crate) key: String,
}

impl World {
    pub(crate) async fn new(engine: Engine) -> Self {
        let clock = FakeClock::default();
        let entropy = FakeEntropy::default();
        let db = TestDb::new(engine).await;
        let alice = tenant(db.store(), &clock, &entropy, "alice").await;
        let bob = tenant(db.store(), &clock, &entropy, "bob").await;
        Self { db, clock, entropy, alice, bob }
    }

    pub(crate) fn store(&self) -> &Store {
        self.db.store()
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// `world.id(MessageId::generate)`
    pub(crate) fn id<T>(&self, generate: fn(&dyn Clock, &dyn Entropy) -> Result<T>) -> T {
        generate(&self.clock, &self.entropy).expect("an id")
    }

    /// A session that is not stored yet.
    pub(crate) fn session(&self, tenant: &Tenant) -> SessionRow {
        let conversation = self.id(ConversationId::generate);
        SessionRow {
            id: SessionId::from_verified(format!("session_{conversation}")),
            owner: tenant.owner,
            site: tenant.site,
            conversation,
            origin: "https://shop.example".to_owned(),
            network: "192.0.2.0/24".to_owned(),
            created_at: self.now(),
            last_activity_at: self.now(),
        }
    }

    /// A session that is stored.
    pub(crate) async fn open(&self, tenant: &Tenant) -> SessionRow {
        let session = self.session(tenant);
        self.store().append(vec![HotRow::Session(session.clone())]).await.expect("a session");
        session
    }

    /// A message that is not stored yet. Each is a microsecond later than the last.
    pub(crate) fn message(&self, session: &SessionRow, text: &str) -> MessageRow {
        self.clock.advance(1);
        MessageRow {
            id: self.id(MessageId::generate),
            conversation: session.conversation,
            role: Role::User,
            state: MessageState::Complete,
            provider: String::new(),
            sealed: format!("sealed:{text}").into_bytes(),
            created_at: self.now(),
        }
    }

    /// A message that is stored.
    pub(crate) async fn say(&self, tenant: &Tenant, session: &SessionRow, text: &str) -> MessageRow {
        let row = self.message(session, text);
        let hot = HotRow::Message { scope: tenant.scope, row: row.clone() };
        self.store().append(vec![hot]).await.expect("a message");
        row
    }

    pub(crate) fn usage(&self, tenant: &Tenant) -> UsageRow {
        UsageRow {
            id: self.id(UsageId::generate),
            site: tenant.site,
            provider: "openai".to_owned(),
            model: "small".to_owned(),
            input_tokens: 100,
            output_tokens: 20,
            micro_usd: 7,
            at: self.now(),
        }
    }

    /// A link of a user that is not stored yet; its look-up is the subject.
    pub(crate) fn user_link(&self, user: UserId, subject: &str) -> UserLinkRow {
        UserLinkRow {
            lookup: format!("lookup of {subject}"),
            user,
            issuer: "https://idp.example".to_owned(),
            subject: subject.to_owned(),
            created_at: self.now(),
        }
    }

    /// A key that is not stored yet.
    pub(crate) fn issued_key(&self, id: &str) -> IssuedKeyRow {
        IssuedKeyRow {
            id: id.to_owned(),
            name: "deployment".to_owned(),
            scopes: [KeyScope::Chat, KeyScope::Manage].into_iter().collect(),
            models: vec!["small".to_owned()],
            sites: vec![self.alice.site],
            per_minute: Some(60),
            per_hour: None,
            daily_micro_usd: Some(5_000_000),
            total_micro_usd: None,
            environment: Some(Environment::Development),
            hash: vec![7; 32],
            created_at: self.now(),
            expires_at: Some(self.now() + 1000),
            revoked_at: None,
            last_used_at: None,
            successor: None,
            honoured_until: None,
            lineage: id.to_owned(),
        }
    }

    /// A user that is not stored yet.
    pub(crate) fn user(&self, email: &str, role: chatward_types::Role) -> UserRow {
        UserRow {
            id: self.id(UserId::generate),
            email: email.to_owned(),
            name: "Ann Example".to_owned(),
            role,
            password: "a hash".to_owned(),
            state: UserState::Active,
            created_at: self.now(),
            updated_at: self.now(),
        }
    }

    /// A login that is not stored yet; its hash is 32 ones.
    pub(crate) fn login(&self, user: UserId) -> LoginRow {
        LoginRow {
            id: self.id(LoginId::generate),
            user,
            hash: vec![1; 32],
            user_agent: "a browser".to_owned(),
            network: "192.0.2.1".to_owned(),
            created_at: self.now(),
            last_used_at: self.now(),
            expires_at: self.now() + 1000,
            ended_at: None,
            proven_at: None,
            spent: None,
            factor_since: None,
        }
    }

    /// A second factor that a login has begun; its secret is four ones.
    pub(crate) fn factor(&self, user: UserId, begun_by: LoginId) -> SecondFactorRow {
        SecondFactorRow { user, sealed: vec![1; 4], begun_by, begun_at: self.now(), confirmed_at: None }
    }

    /// Begins and confirms a second factor with the code of step 10; since when it is asked for.
    pub(crate) async fn enrol(&self, tenant: &Tenant, user: UserId, login: LoginId, codes: &[[u8; 32]]) -> Timestamp {
        let factor = self.factor(user, login);
        assert!(self.store().begin_second_factor(&tenant.scope, &factor).await.expect("begun"));
        let activation = Activation { login, sealed: &factor.sealed, step: 10, codes, now: self.now() };
        assert!(self.store().activate_second_factor(&tenant.scope, user, activation).await.expect("confirmed"));
        self.now()
    }

    /// An origin refused so often, a microsecond after the one before.
    pub(crate) fn refused(&self, origin: &str, count: i64) -> RefusedOrigin {
        self.clock.advance(1);
        RefusedOrigin { origin: origin.to_owned(), count, first_at: self.now(), last_at: self.now() }
    }

    pub(crate) fn page(&self, url: &str) -> PageRow {
        self.clock.advance(1);
        PageRow {
            id: self.id(PageId::generate),
            url: url.to_owned(),
            title: format!("Title of {url}"),
            status: "indexed".to_owned(),
            reason: String::new(),
            chunks: 1,
            bytes: 1000,
            language: "en".to_owned(),
            fetched_at: self.now(),
        }
    }

    /// A generation with one page, one chunk and one segment, swapped in.
    pub(crate) async fn learn(&self, tenant: &Tenant, text: &str) -> i64 {
        let generation = self.prepare(tenant, text).await;
        self.store().swap_generation(&tenant.scope, tenant.site, generation, self.now()).await.expect("a swap");
        generation
    }

    /// The same, not swapped in.
    pub(crate) async fn prepare(&self, tenant: &Tenant, text: &str) -> i64 {
        let store = self.store();
        let (scope, site) = (&tenant.scope, tenant.site);
        let generation = store.next_generation(scope, site).await.expect("a generation");
        let page = self.page("https://shop.example/");
        let chunk = ChunkRow { ordinal: 0, page: page.id, heading: "Shop".to_owned(), text: text.to_owned() };
        store.put_pages(scope, site, generation, &[page]).await.expect("a page");
        store.put_chunks(scope, site, generation, &[chunk]).await.expect("a chunk");
        store.put_segment(scope, site, generation, 0, text.as_bytes().to_vec()).await.expect("a segment");
        generation
    }
}

async fn tenant(store: &Store, clock: &FakeClock, entropy: &FakeEntropy, name: &str) -> Tenant {
    clock.advance(1000);
    let owner = OwnerId::generate(clock, entropy).expect("an id");
    let site = SiteId::generate(clock, entropy).expect("an id");
    let scope = Scope::of(owner);
    // Not the form of a real key, so that no scanner takes it for one.
    let key = format!("publishable-{site}");
    store.insert_owner(owner, name, clock.now()).await.expect("an owner");
    let new = NewSite {
        id: site,
        publishable_key: key.clone(),
        url: "https://shop.example/".to_owned(),
        name: name.to_owned(),
        origins: vec!["https://shop.example".to_owned()],
        settings: "{}".to_owned(),
        created_at: clock.now(),
    };
    store.insert_site(&scope, &new).await.expect("a site");
    Tenant { owner, scope, site, key }
}
