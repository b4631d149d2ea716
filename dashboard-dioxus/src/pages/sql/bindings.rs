//! Bindings to the page's JavaScript. The bundler adds `web/sql/loader.js` and `web/sql/drafts.js` to the script that
//! starts the app. `web/sql/editor.js` is loaded when the page needs it.

use js_sys::Function;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/web/sql/loader.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = loadEditor)]
    async fn load_editor() -> Result<JsValue, JsValue>;

    /// Saves `text` as a file, through a download.
    #[wasm_bindgen]
    pub(super) fn download(name: &str, media_type: &str, text: &str);
}

#[wasm_bindgen(module = "/web/sql/drafts.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = readDrafts)]
    pub(super) async fn read_drafts(project: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = writeDraft)]
    pub(super) async fn write_draft(json: &str, seen: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = removeDraft)]
    pub(super) async fn remove_draft(project: &str, id: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_name = watchDrafts)]
    pub(super) fn watch_drafts(callback: &Function);
}

#[wasm_bindgen]
extern "C" {
    type EditorModule;

    #[wasm_bindgen(method, catch, js_name = createEditor)]
    fn create_editor(this: &EditorModule, element: &web_sys::Element, notify: &Function) -> Result<Monaco, JsValue>;

    /// The editor that `createEditor` of `web/sql/editor.js` returns.
    #[derive(Debug, Clone, PartialEq)]
    pub(super) type Monaco;

    #[wasm_bindgen(method)]
    pub(super) fn open(this: &Monaco, id: &str, text: &str);
    #[wasm_bindgen(method)]
    pub(super) fn close(this: &Monaco, id: &str);
    #[wasm_bindgen(method)]
    pub(super) fn text(this: &Monaco) -> String;
    #[wasm_bindgen(method, js_name = replaceText)]
    pub(super) fn replace_text(this: &Monaco, text: &str);
    #[wasm_bindgen(method)]
    pub(super) fn insert(this: &Monaco, text: &str);
    #[wasm_bindgen(method)]
    pub(super) fn selection(this: &Monaco) -> Vec<u32>;
    #[wasm_bindgen(method)]
    pub(super) fn select(this: &Monaco, start: u32, end: u32);
    #[wasm_bindgen(method, js_name = showStatement)]
    pub(super) fn show_statement(this: &Monaco, start: u32, end: u32);
    #[wasm_bindgen(method, js_name = showProblems)]
    pub(super) fn show_problems(this: &Monaco, json: &str);
    #[wasm_bindgen(method, js_name = setSchema)]
    pub(super) fn set_schema(this: &Monaco, json: &str);
    #[wasm_bindgen(method)]
    pub(super) fn focus(this: &Monaco);
    #[wasm_bindgen(method)]
    pub(super) fn dispose(this: &Monaco);
}

/// Loads Monaco and creates the editor in an element.
pub(super) async fn create_monaco(element: &web_sys::Element, notify: &Function) -> Result<Monaco, JsValue> {
    let module: EditorModule = load_editor().await?.unchecked_into();
    module.create_editor(element, notify)
}
