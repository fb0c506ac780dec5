//! A compiler from Debian's `rustc-web`: packages are unpacked in a cache, not installed (they conflict with `rustc` and
//! `rustup`), and the standard library is built there once. 0.6 GB and two minutes of processor time.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{
    compiler::{TARGET, has_std},
    shell::{command, output, run, say},
};

/// The compiler; builds it when the cache has none of the version that apt offers.
pub(super) fn toolchain() -> Result<PathBuf> {
    let cache = cache_dir()?;
    let rustc = cache.join("rustc");
    let version = candidate()?;
    let stamp = cache.join("stamp");
    if fs::read_to_string(&stamp).is_ok_and(|built| built.trim() == version) && has_std(&rustc) {
        return Ok(rustc);
    }
    say(&format!("building a compiler from Debian's rustc-web {version} in {}", cache.display()));
    if cache.exists() {
        fs::remove_dir_all(&cache)?;
    }
    let root = unpack(&cache, &version)?;
    write_wrapper(&cache, &root, &rustc)?;
    link_linker(&root, &rustc)?;
    build_std(&cache, &root, &rustc)?;
    ensure!(has_std(&rustc), "the standard library was built and is not found");
    fs::write(stamp, version)?;
    Ok(rustc)
}

/// Outside of `target`, so that `cargo clean` does not cost a download.
fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = env::var_os("WASM_TC_DIR") {
        return Ok(dir.into());
    }
    let caches = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let caches = caches.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    Ok(caches.context("neither XDG_CACHE_HOME nor HOME is set")?.join("wasm-toolchain"))
}

/// The version that apt would install.
fn candidate() -> Result<String> {
    let offered = || -> Result<Option<String>> {
        let policy = output(command("apt-cache").args(["policy", "rustc-web"]))?;
        let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
        Ok(version.filter(|version| *version != "(none)").map(str::to_owned))
    };
    if let Some(version) = offered()? {
        return Ok(version);
    }
    // A fresh container has no package lists; without the right to fetch them there is nothing to offer.
    run(command("apt-get").args(["update", "-q"])).context("no package lists")?;
    offered()?.context("apt offers no rustc-web")
}

/// Downloads (apt checks the signatures) and unpacks. Gives the root of the unpacked files.
fn unpack(cache: &Path, version: &str) -> Result<PathBuf> {
    let (debs, root) = (cache.join("deb"), cache.join("root"));
    fs::create_dir_all(&debs)?;
    let starts_with_digit = |s: &str| s.starts_with(|c: char| c.is_ascii_digit());
    let std = dependency("libstd-rust-web-dev", version, |name| {
        name.strip_prefix("libstd-rust-web-").is_some_and(starts_with_digit)
    })?;
    let llvm = dependency(&std, version, |name| name.strip_prefix("libllvm").is_some_and(starts_with_digit))?;
    let lld = llvm.replace("libllvm", "lld-");
    let versioned =
        ["rustc-web", "libstd-rust-web-dev", &std, "rust-web-src"].map(|name| format!("{name}={version}"));
    download(&debs, versioned.iter().map(String::as_str).chain([llvm.as_str(), &lld]))?;
    unpack_all(&debs, &root)?;
    if missing_libraries(&root)? {
        // A bare container lacks libraries of LLVM's: those apt knows of, unpacked beside it.
        let quiet = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"]
            .map(|no| format!("--no-{no}"));
        let all = output(command("apt-cache").args(["depends", "--recurse"]).args(quiet).arg(&llvm))?;
        let here = ["libc6", "libgcc-s1", "libstdc++6", llvm.as_str()];
        let wanted = all.lines().filter(|name| name.starts_with("lib") && !here.contains(name));
        for name in wanted {
            // Virtual packages have nothing to download; what is really missing shows below.
            download(&debs, [name]).ok();
        }
        unpack_all(&debs, &root)?;
        ensure!(
            !missing_libraries(&root)?,
            "libraries are missing: see `ldd {}/usr/bin/rustc`",
            root.display()
        );
    }
    fs::remove_dir_all(debs)?;
    Ok(root)
}

fn dependency(package: &str, version: &str, is_it: impl Fn(&str) -> bool) -> Result<String> {
    let shown = output(command("apt-cache").args(["show", &format!("{package}={version}")]))?;
    let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
    let mut names = depends.split(',').filter_map(|one| one.split_whitespace().next());
    Ok(names
        .find(|name| is_it(name))
        .with_context(|| format!("{package} {version}: dependencies changed"))?
        .to_owned())
}

fn download<'a>(dir: &Path, packages: impl IntoIterator<Item = &'a str>) -> Result<()> {
    run(command("apt-get")
        .args(["-q", "download"])
        .args(packages)
        .current_dir(dir)
        .stdout(std::process::Stdio::null()))
}

fn unpack_all(debs: &Path, root: &Path) -> Result<()> {
    for deb in fs::read_dir(debs)? {
        run(command("dpkg-deb").arg("-x").arg(deb?.path()).arg(root))?;
    }
    Ok(())
}

/// Debian's library folder below the root: `usr/lib/x86_64-linux-gnu` and its like.
fn library_dir(root: &Path) -> Result<PathBuf> {
    let mut dirs = fs::read_dir(root.join("usr/lib"))?.flatten().map(|entry| entry.path());
    dirs.find(|path| path.to_string_lossy().ends_with("-linux-gnu"))
        .context("no library folder in the packages")
}

fn missing_libraries(root: &Path) -> Result<bool> {
    let mut ldd = command("ldd");
    ldd.arg(root.join("usr/bin/rustc")).env("LD_LIBRARY_PATH", library_dir(root)?);
    Ok(output(&mut ldd)?.contains("not found"))
}

fn write_wrapper(cache: &Path, root: &Path, rustc: &Path) -> Result<()> {
    let (libraries, real) = (library_dir(root)?, root.join("usr/bin/rustc"));
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH=\"{}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\" exec \"{}\" \"$@\"\n",
        libraries.display(),
        real.display()
    );
    fs::write(rustc, script)?;
    run(command("chmod").arg("+x").arg("rustc").current_dir(cache))
}

/// Debian's rustc looks for `rust-lld` as upstream's does, and has none: LLVM's own under that name.
fn link_linker(root: &Path, rustc: &Path) -> Result<()> {
    let host = version_line(rustc, "host: ")?;
    let bin = root.join("usr/lib/rustlib").join(host).join("bin");
    fs::create_dir_all(&bin)?;
    let mut llvms =
        fs::read_dir(root.join("usr/lib"))?.flatten().map(|entry| entry.path().join("bin/wasm-ld"));
    let linker = llvms.find(|path| path.exists()).context("no wasm-ld in the packages")?;
    run(command("ln").arg("-sf").arg(linker).arg(bin.join("rust-lld")))
}

/// The flags are those of upstream's own build. Its dependencies come from crates.io under the sources' own lock file.
fn build_std(cache: &Path, root: &Path, rustc: &Path) -> Result<()> {
    let library = fs::canonicalize(root.join("usr/lib/rustlib/src/rust/library"))
        .context("no sources in the packages")?;
    let sources = library.parent().context("the library lies in the sources")?;
    let target = cache.join("target");
    let flags = [
        "-Zforce-unstable-if-unmarked".to_owned(),
        "-Cembed-bitcode=yes".to_owned(),
        "-Cpanic=abort".to_owned(),
        format!("--remap-path-prefix={}=/rustc/{}", sources.display(), version_line(rustc, "commit-hash: ")?),
    ];
    let mut cargo: Command = command("cargo");
    cargo.args([
        "build",
        "-q",
        "--release",
        "--locked",
        "--manifest-path",
        "sysroot/Cargo.toml",
        "--target",
        TARGET,
    ]);
    cargo.args(["--no-default-features", "--features", "panic-unwind,backtrace,compiler-builtins-mem"]);
    cargo
        .current_dir(&library)
        .env("RUSTC", rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target);
    cargo.env("CARGO_INCREMENTAL", "0").env("__CARGO_DEFAULT_LIB_METADATA", "stablestd");
    run(cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")))?;

    let libraries = root.join("usr/lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&libraries)?;
    for file in fs::read_dir(target.join(TARGET).join("release/deps"))?.flatten() {
        if file.path().extension().is_some_and(|extension| extension == "rlib") {
            fs::copy(file.path(), libraries.join(file.file_name()))?;
        }
    }
    fs::remove_dir_all(target)?;
    Ok(())
}

fn version_line(rustc: &Path, key: &str) -> Result<String> {
    let version = output(command(rustc).arg("-vV"))?;
    let line = version.lines().find_map(|line| line.strip_prefix(key));
    Ok(line.with_context(|| format!("rustc -vV has no {key}"))?.to_owned())
}
