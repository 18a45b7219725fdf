//! Secrets in files of their own: read, checked, never shown.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use passerelle::config::{Environment, Loaded, load, show};
use secrecy::ExposeSecret;

const MISTRAL: (&str, &str) = ("MISTRAL_API_KEY", "m-secret");

/// A folder with a configuration of that text.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(config: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("town.toml", config);
        folder
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn load<const N: usize>(&self, variables: [(&str, &str); N]) -> Result<Loaded, String> {
        load(Some(&self.0.path().join("town.toml")), &Environment::from_pairs(variables))
            .map_err(|error| error.to_string())
    }
}

fn openai_key(loaded: &Loaded) -> &str {
    let openai = loaded.config.providers.iter().find(|provider| provider.id.as_str() == "openai").unwrap();
    openai.api_key.expose_secret()
}

#[test]
fn each_secret_may_stand_in_a_file_beside_the_configuration() {
    let folder = Folder::new(
        "[providers.openai]\napi_key_file = \"openai.key\"\n[mairie]\ntoken_file = \"token\"\n[alerts]\n\
         webhook_url = \"https://alerts.example/x\"\nwebhook_secret_file = \"webhook\"",
    );
    folder.write("openai.key", "sk-from-a-file\n");
    folder.write("token", "mairie-from-a-file\r\n");
    folder.write("webhook", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
    let loaded = folder.load([MISTRAL]).unwrap();
    assert_eq!(openai_key(&loaded), "sk-from-a-file");
    assert_eq!(loaded.config.mairie_token.as_ref().unwrap().expose_secret(), "mairie-from-a-file");
    assert!(loaded.config.alerts.webhook.is_some());
    assert!(!loaded.warnings.iter().any(|warning| warning.contains("_file")), "{:?}", loaded.warnings);
    let shown = show(&loaded);
    assert!(shown.contains("api_key_file = \"openai.key\"") && shown.contains("token = \"********\""), "{shown}");
    for secret in ["from-a-file", "MDEyMzQ1"] {
        assert!(!shown.contains(secret) && !format!("{loaded:?}").contains(secret), "{secret} is shown");
    }
    let files: Vec<_> = loaded.config.source.files.iter().filter_map(|file| file.path.file_name()).collect();
    for name in ["town.toml", "openai.key", "token", "webhook"] {
        assert!(files.iter().any(|file| *file == name), "{name} is not watched: {files:?}");
    }
}

#[test]
fn the_usual_variables_may_name_files_too() {
    let folder = Folder::new("");
    let file = folder.write("key", "sk-from-a-file\n");
    let path = file.to_str().unwrap();
    for variable in ["OPENAI_API_KEY_FILE", "PASSERELLE__PROVIDERS__OPENAI__API_KEY_FILE"] {
        assert_eq!(openai_key(&folder.load([(variable, path), MISTRAL]).unwrap()), "sk-from-a-file", "{variable}");
    }
    let environment = Environment::from_pairs([("OPENAI_ADMIN_KEY_FILE", path)]);
    assert_eq!(environment.secret("OPENAI_ADMIN_KEY").unwrap().unwrap().expose_secret(), "sk-from-a-file");
    let both = Environment::from_pairs([("OPENAI_ADMIN_KEY_FILE", path), ("OPENAI_ADMIN_KEY", "x")]);
    assert!(both.secret("OPENAI_ADMIN_KEY").unwrap_err().contains("both set"));
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_key_and_its_content_never() {
    let folder = Folder::new("[providers.openai]\napi_key_file = \"key\"");
    let path = "providers.openai.api_key_file: ";
    for (content, said) in [
        (&b""[..], "is empty"),
        (b"\n", "is empty"),
        (b"sk-\xff", "is not text"),
        (b"sk-first\nsk-second\n", "providers.openai.api_key: holds a space, a line break"),
        (&[b'x'; 300 << 10], "is longer than"),
    ] {
        folder.write("key", content);
        let error = folder.load([MISTRAL]).unwrap_err();
        assert!(error.contains(said), "{error}");
        assert!(error.contains("providers.openai.api_key") && !error.contains("sk-"), "{error}");
    }
    folder.write("key", "sk-fine");
    let both = folder.load([MISTRAL, ("OPENAI_API_KEY", "sk-other")]).unwrap_err();
    assert!(both.contains(path) && both.contains("keep one of the two") && !both.contains("sk-"), "{both}");
    std::fs::remove_file(folder.0.path().join("key")).unwrap();
    assert!(folder.load([MISTRAL]).unwrap_err().contains(path));
    std::fs::create_dir(folder.0.path().join("key")).unwrap();
    assert!(folder.load([MISTRAL]).unwrap_err().contains("is not a file"));
}

#[test]
fn a_secret_that_everybody_may_read_is_warned_about_and_a_vendor_that_is_off_needs_none() {
    let folder = Folder::new("[providers.openai]\napi_key_file = \"key\"");
    let key = folder.write("key", "sk-fine\n");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = folder.load([MISTRAL]).unwrap().warnings;
    assert!(
        warnings
            .iter()
            .any(|warning| warning.starts_with("providers.openai.api_key_file: ") && warning.contains("chmod")),
        "{warnings:?}"
    );
    let off = Folder::new("[providers.openai]\nenabled = false\napi_key_file = \"nowhere\"");
    assert!(off.load([MISTRAL]).is_ok());
}

#[test]
fn a_mistake_beside_a_secret_is_told_by_its_line_and_not_with_it() {
    for (text, said) in [
        ("[server]\n\n[providers.openai]\napi_key = \"sk-secret", "town.toml: line 4, column "),
        ("[mairie]\ntoken = 7391", "mairie.token: must be a text"),
    ] {
        let error = Folder::new(text).load([MISTRAL]).unwrap_err();
        assert!(error.contains(said) && !error.contains("sk-secret") && !error.contains("7391"), "{error}");
    }
}

#[test]
fn who_only_reads_the_ledger_need_not_be_allowed_to_read_vendors_keys() {
    let folder = Folder::new("[providers.openai]\napi_key_file = \"nowhere\"");
    let mut environment = Environment::default();
    environment.assume_vendor_keys();
    assert!(load(Some(&folder.0.path().join("town.toml")), &environment).is_ok());
}
