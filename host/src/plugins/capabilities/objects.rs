/// What a guest's handle of an upload stands for.
pub struct OpenUpload;
