//! Reads the files that the owner chose in a field or dropped on the page.

use dioxus::prelude::*;
use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DataTransfer, File, FileList, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry, HtmlInputElement,
};

/// A file to upload.
#[derive(Debug, Clone)]
pub(in super::super) struct Picked {
    /// Path below the folder that is open: `photos/a.png` if the folder `photos` was chosen or dropped, otherwise the
    /// name.
    pub(in super::super) name: String,
    pub(in super::super) file: File,
}

/// Returns the files that the owner chose in a file field, and empties the field.
pub(in super::super) fn chosen(event: &FormEvent) -> Vec<Picked> {
    use dioxus::web::WebEventExt as _;
    let target = event.data().try_as_web_event().and_then(|event| event.target());
    let Some(input) = target.and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return Vec::new() };
    let picked = input.files().map(|files| of_list(&files)).unwrap_or_default();
    // Emptied, so that the same file can be chosen again.
    input.set_value("");
    picked
}

fn of_list(files: &FileList) -> Vec<Picked> {
    (0..files.length())
        .filter_map(|index| files.get(index))
        .map(|file| {
            let relative = js_sys::Reflect::get(&file, &"webkitRelativePath".into()).ok();
            let relative = relative.and_then(|path| path.as_string()).filter(|path| !path.is_empty());
            Picked { name: relative.unwrap_or_else(|| file.name()), file }
        })
        .collect()
}

/// The content of a drop. The browser allows reading it only during the event; folders can be searched later.
pub(in super::super) struct Dropped {
    entries: Vec<FileSystemEntry>,
    files: Vec<Picked>,
}

/// Reads a drop. `None` if it contains neither files nor folders.
pub(in super::super) fn dropped(data: &DataTransfer) -> Option<Dropped> {
    let items = data.items();
    let (mut entries, mut files) = (Vec::new(), Vec::new());
    for item in (0..items.length()).filter_map(|index| items.get(index)).filter(|item| item.kind() == "file") {
        match item.webkit_get_as_entry() {
            Ok(Some(entry)) => entries.push(entry),
            _ => files.extend(item.get_as_file().ok().flatten().map(|file| Picked { name: file.name(), file })),
        }
    }
    if entries.is_empty() && files.is_empty() {
        files = data.files().map(|files| of_list(&files)).unwrap_or_default();
    }
    (!entries.is_empty() || !files.is_empty()).then_some(Dropped { entries, files })
}

impl Dropped {
    /// Returns the dropped files, and those in dropped folders. Leaves out what the browser can't read.
    pub(in super::super) async fn files(self) -> Vec<Picked> {
        let mut files = self.files;
        // Folders below folders are searched without recursion, since they may be deep.
        let mut waiting: Vec<(String, FileSystemEntry)> =
            self.entries.into_iter().rev().map(|entry| (String::new(), entry)).collect();
        while let Some((folder, entry)) = waiting.pop() {
            let name = format!("{folder}{}", entry.name());
            if entry.is_file() {
                let file = file_of(entry.unchecked_into()).await;
                files.extend(file.map(|file| Picked { name, file }));
            } else {
                let entries = entries_of(&entry.unchecked_into()).await;
                waiting.extend(entries.into_iter().rev().map(|entry| (format!("{name}/"), entry)));
            }
        }
        files
    }
}

async fn file_of(entry: FileSystemFileEntry) -> Option<File> {
    let read = |resolve: Function, reject: Function| entry.file_with_callback_and_callback(&resolve, &reject);
    JsFuture::from(promise(read)).await.ok()?.dyn_into().ok()
}

/// Returns the entries of a folder. Browsers deliver them in portions.
async fn entries_of(folder: &FileSystemDirectoryEntry) -> Vec<FileSystemEntry> {
    let reader = folder.create_reader();
    let mut entries = Vec::new();
    loop {
        let read = |resolve: Function, reject: Function| {
            let _ = reader.read_entries_with_callback_and_callback(&resolve, &reject);
        };
        let portion = JsFuture::from(promise(read)).await.unwrap_or(JsValue::NULL);
        let Ok(portion) = portion.dyn_into::<js_sys::Array>() else { return entries };
        if portion.length() == 0 {
            return entries;
        }
        entries.extend(portion.iter().map(JsCast::unchecked_into::<FileSystemEntry>));
    }
}

fn promise(mut read: impl FnMut(Function, Function)) -> Promise {
    Promise::new(&mut |resolve, reject| read(resolve, reject))
}
